"""Validation: the development queries are ranked by the network as it stands."""

from __future__ import annotations

import logging
from contextlib import nullcontext

import pytorch_lightning as pl
import torch

from recross.errors import RunError
from recross.runs import Run
from recross.training.module import RankingModule
from recross.training.progress import TrainingFolder
from recross.training.shared_weights import gather_all
from recross.training.validation import Validation

logger = logging.getLogger(__name__)

COLLAPSED = 1e-6
"""A network whose scores of every query's documents differ by less tells nothing apart."""


class Validate(pl.Callback):
    """Keeps the weights that rank the development queries best, and ends a training early."""

    def __init__(
        self, module: RankingModule, validation: Validation, folder: TrainingFolder
    ) -> None:
        self._module, self._validation, self._folder = module, validation, folder

    def on_train_batch_end(self, trainer: pl.Trainer, *_: object) -> None:
        """Validate where it is time to; stop where nothing was gained for too long.

        Raises:
            RunError: the scores have collapsed to a constant.
        """
        module, measure = self._module, self._validation.measure
        progress, training = module.progress, module.training_plan.training
        if not training.validates_after(progress.step):
            return
        module.read_losses()
        value = self._validate()
        logger.info("step %d: dev %s %.4f", progress.step, measure, value)
        module.record(progress.step, **{f"dev {measure}": value})
        patience = training.patience
        if patience is not None and progress.validations_without_gain >= patience:
            logger.info("no gain in %d validations: training ends early", patience)
            trainer.should_stop = True

    def _validate(self) -> float:
        """Re-rank the development queries, shared by all processes; keep weights that are best."""
        module, processes = self._module, self._module.processes
        validation = self._validation.share(processes.rank, processes.count)
        with module.averages.in_place() if module.averages is not None else nullcontext():
            reranked = module.rerank(validation.candidates, validation.collection)
            total = [validation.sum_of(reranked), len(validation.qrels)]
            sums = processes.add_up(torch.tensor(total, device=processes.device))
            value = float(torch.div(*sums))
            self._refuse_collapse(reranked)
            if module.progress.judge(value):
                weights = gather_all(module.network.state_dict(), keeps=processes.is_first)
                if processes.is_first:
                    self._folder.keep_best(weights)
        return value

    def _refuse_collapse(self, reranked: Run) -> None:
        scores = [[doc.score for doc in ranking] for ranking in reranked.rankings.values()]
        spreads = [max(of_query) - min(of_query) for of_query in scores if len(of_query) > 1]
        if spreads and max(spreads) < COLLAPSED:
            raise RunError(
                "scores must tell documents apart, got one constant for all of a query's"
                f" candidates at step {self._module.progress.step}: a lower training.learning_rate,"
                " a longer warm-up or another loss may help"
            )
