"""The state of a training on disk: saved between steps, and resumed from."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, cast

import pytorch_lightning as pl
import torch

from recross.training.module import RankingModule
from recross.training.optimisation import AveragedWeights, restore_optimiser
from recross.training.progress import Progress, TrainingFolder, TrainingState
from recross.training.shared_weights import gather, gather_all, load_weights

if TYPE_CHECKING:
    from torch.distributed.optim import ZeroRedundancyOptimizer

logger = logging.getLogger(__name__)


class RestoreState(pl.Callback):
    """Begins with the state that an interrupted training left, if there is one."""

    def __init__(self, module: RankingModule, folder: TrainingFolder) -> None:
        self._module, self._folder = module, folder

    def on_train_start(self, *_: object) -> None:
        """Read the weights, averages, optimiser, schedule and progress of the last saved step."""
        module = self._module
        if (decay := module.training_plan.training.averaging) is not None:
            module.averages = AveragedWeights(module.network, decay)
        if (saved := self._folder.load()) is not None:
            self._restore(*saved)

    def _restore(self, progress: Progress, saved: TrainingState) -> None:
        logger.info("training goes on after step %d", progress.step)
        module = self._module
        load_weights(module.network, saved["network"])
        restore_optimiser(module.optimiser, saved["optimizer"])
        module.schedule.load_state_dict(saved["schedule"])
        if module.averages is not None:
            module.averages.restore(saved["averages"])
        module.data.hardest = saved["hardest"]
        module.progress = progress
        for step, values in progress.curves:
            module.log_values(step, values)


class SaveState(pl.Callback):
    """Saves the state every ``save_seconds``, after each validation, and at the end."""

    def __init__(self, module: RankingModule, folder: TrainingFolder) -> None:
        self._module, self._folder = module, folder
        self._began = self._saved = 0.0

    def on_train_start(self, *_: object) -> None:
        """Start the clock that decides when to save."""
        self._began = self._saved = time.perf_counter()

    def on_train_batch_end(self, *_: object) -> None:
        """Save the state if ``save_seconds`` have passed or the step is validated."""
        progress, training = self._module.progress, self._module.training_plan.training
        if progress.step < training.steps and (
            self._is_due() or training.validates_after(progress.step)
        ):
            self._save()

    def on_train_end(self, *_: object) -> None:
        """Leave the final state, with what all processes read, for the one that waits for it."""
        module, processes = self._module, self._module.processes
        counts = [float(module.progress.pairs), float(module.progress.tokens)]
        done = processes.add_up(torch.tensor(counts, dtype=torch.float64, device=processes.device))
        module.progress.pairs, module.progress.tokens = map(int, done.tolist())
        module.progress.is_over = True
        self._save()

    def _is_due(self) -> bool:
        """Whether it is long ago that the state was saved; processes that share it agree."""
        module = self._module
        is_due = time.perf_counter() - self._saved >= module.training_plan.training.save_seconds
        if module.shards == "nothing":
            return is_due
        said = torch.tensor(float(is_due), device=module.processes.device)
        return bool(module.processes.add_up(said) > 0)

    def _save(self) -> None:
        module = self._module
        module.read_losses()
        now = time.perf_counter()
        module.progress.seconds += now - self._began
        self._began = self._saved = now
        if module.shards == "optimiser":
            cast("ZeroRedundancyOptimizer", module.optimiser).consolidate_state_dict(to=0)
        if module.processes.is_first or module.shards == "weights":  # which all gather together
            state = self._collect()
            if module.processes.is_first:
                self._folder.save(module.progress, state)

    def _collect(self) -> TrainingState:
        """The state, whole in the first process."""
        module, keeps = self._module, self._module.processes.is_first
        averages = module.averages.averages if module.averages is not None else []
        optimiser = module.optimiser.state_dict()
        of_parameters = {
            number: gather_all(state, keeps=keeps) for number, state in optimiser["state"].items()
        }
        return {
            "network": gather_all(module.network.state_dict(), keeps=keeps),
            "optimizer": {**optimiser, "state": of_parameters},
            "schedule": module.schedule.state_dict(),
            "averages": [gather(average, keeps=keeps) for average in averages],
            "hardest": module.data.hardest,
        }
