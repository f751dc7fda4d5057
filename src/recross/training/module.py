"""The Lightning module: what a training is made of, and the story of one step."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from typing import cast

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler
from torch.utils.data import DataLoader

from recross.collections.collection import Collection
from recross.errors import RunError
from recross.inference.encoders.layer_passes import within
from recross.inference.engine import Engine
from recross.inference.network import Network
from recross.inference.session import Session
from recross.machine.hardware import Shards
from recross.rerankers.reranker import Trainable
from recross.runs import Run
from recross.seeding import make_generator
from recross.tracking.tracker import Log
from recross.training.optimisation import AveragedWeights
from recross.training.processes import Processes
from recross.training.progress import Progress
from recross.training.recipe import TrainingPlan
from recross.training.recorded_losses import READ_EVERY, RecordedLosses
from recross.training.shared_weights import WholeCopy
from recross.training.steps.step import Step
from recross.training.steps.step_data import StepData
from recross.training.steps.steps_ahead import StepsAhead

# Lightning says much of itself, also in the processes that it starts: they import this
for _name in ("pytorch_lightning", "lightning_fabric"):
    logging.getLogger(_name).setLevel(logging.WARNING)


class RankingModule(pl.LightningModule):
    """Takes the steps of a training; what happens between them is the business of callbacks."""

    def __init__(
        self,
        reranker: Trainable,
        plan: TrainingPlan,
        session: Session,
        data: StepData,
        log: Log | None = None,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False  # a step is several micro-batches of unequal size
        self.reranker = reranker
        self.network = reranker.network
        self.training_plan = plan
        self.loss = plan.loss
        self.first_stage_weight = plan.training.first_stage_weight
        self.session = session
        self.data = data
        self.progress = Progress()
        self.averages: AveragedWeights | None = None
        self.whole_copy: WholeCopy | None = None
        self.tracker_log = log
        self._losses = RecordedLosses()
        self._steps: StepsAhead | None = None

    def training_step(self, step: Step, _number: int) -> Tensor:
        """Gradients of all that the step learns from, clipped; one update; the next rate."""
        optimizer = cast(Optimizer, self.optimizers())
        schedule = self.schedule
        self.seed_dropout()
        optimizer.zero_grad()
        own, pairs, tokens = step.learn(self)
        loss = self.processes.average(own)  # all go on, or none
        if not self.is_on_gpu:
            self._refuse_nan(self.progress.step + 1, float(loss))
        clip_grad_norm_(self._learned, self.training_plan.training.max_grad_norm)
        optimizer.step()
        schedule.step()
        if self.averages is not None:
            self.averages.update()
        self.progress.count(pairs, tokens)
        self._losses.add(self.progress.step, loss, float(schedule.get_last_lr()[0]))
        if len(self._losses) >= self._read_every:
            self.read_losses()
        return loss

    def read_losses(self) -> None:
        """Record the losses of the steps that are done; a GPU is waited for.

        Raises:
            RunError: one of them is no number.
        """
        for step, loss, rate in self._losses.read():
            self._refuse_nan(step, loss)
            self.record(step, loss=loss, learning_rate=rate)

    def compute(self, function: Callable[..., Tensor], *inputs: object) -> Tensor:
        """What a function computes with the network's weights, whole even if processes share them.

        They have to ask equally often.
        """
        return within(self.network, partial(function, *inputs))()

    def add_gradients(self, value: Tensor, *, is_last: bool) -> None:
        """Add the gradients of a value; with the step's last one, processes share theirs."""
        with self.processes.share_gradients(is_last=is_last):
            self.manual_backward(value)

    def seed_dropout(self, part_of_step: str = "") -> None:
        """Seed the dropout of this step, or of a named part of it, whatever was drawn before."""
        name = f"{self.progress.step} {part_of_step or self.processes.rank}"
        seed = make_generator(self.training_plan.seed, "dropout", name).integers(2**63)
        torch.manual_seed(int(seed))

    def record(self, step: int, **values: float) -> None:
        """Keep values of a step for the curves, and log them."""
        self.progress.curves.append((step, values))
        self.log_values(step, values)

    def log_values(self, step: int, values: dict[str, float]) -> None:
        """Give values to the experiment's log, once for all processes."""
        if self.tracker_log is not None and self.processes.is_first:
            self.tracker_log.log(step, values)

    def rerank(self, candidates: Run, collection: Collection) -> Run:
        """Return candidates in the order of the network as it stands, without dropout."""
        session = replace(self.session, hardware=replace(self.session.hardware, devices=1))
        paused = nullcontext() if self._steps is None else self._steps.paused()
        with paused, self._scoring() as network:
            engine = Engine(network, session, untrained="allow")
            return self.reranker.rerank_with(engine, candidates, collection)

    @property
    def is_on_gpu(self) -> bool:
        """Whether it trains on a GPU, which a value that is read at once would hold up."""
        return self.session.hardware.accelerator == "gpu"

    @property
    def shards(self) -> Shards:
        """What each process keeps a part of."""
        return self.session.hardware.shards

    @property
    def optimiser(self) -> Optimizer:
        """The one optimiser, without Lightning's wrapper, as it is saved."""
        return cast(Optimizer, self.optimizers(use_pl_optimizer=False))

    @property
    def schedule(self) -> LRScheduler:
        """The one schedule of learning rates."""
        return cast(LRScheduler, self.lr_schedulers())

    @property
    def processes(self) -> Processes:
        """The processes of the training, of which this is one."""
        return Processes(self.trainer, share_weights=self.shards == "weights")

    def setup(self, stage: str) -> None:
        """Prepare this process: one that Lightning spawned begins with everybody's defaults."""
        self.session.hardware.prepare()
        warnings.simplefilter("ignore")  # Lightning's advice on workers and loggers

    def transfer_batch_to_device(self, batch: Step, device: torch.device, number: int) -> Step:
        """Leave batches alone: a step that is not on its device yet moves itself there."""
        return batch

    def train_dataloader(self) -> DataLoader[Step] | StepsAhead:
        """Steps, of which this process takes its part; for a GPU they are made ahead."""
        self.data.divide(self.processes.rank, self.processes.count)
        if not self.is_on_gpu:
            return DataLoader(self.data, batch_size=None, shuffle=False)
        self._steps = StepsAhead(self.data, self.processes.device)
        return self._steps

    def teardown(self, stage: str) -> None:
        """Make no more steps, however the training ended."""
        if self._steps is not None:
            self._steps.close()

    def configure_optimizers(self) -> tuple[list[Optimizer], list[LRScheduler]]:
        """AdamW under a schedule of warm-up and decay, in one kernel on a GPU."""
        settings = self.training_plan.training.optimisation
        sharded = self.shards == "optimiser"
        optimizer = settings.optimiser(self.network, fused=self.is_on_gpu, sharded=sharded)
        self._learned = [p for group in optimizer.param_groups for p in group["params"]]
        return [optimizer], [LambdaLR(optimizer, settings.rate)]

    @contextmanager
    def _scoring(self) -> Iterator[Network]:
        """The network without dropout; where processes share its weights, a copy that has all."""
        if self.whole_copy is not None:
            with self.whole_copy.filled(self.network) as whole:
                yield whole
            return
        self.network.eval()
        yield self.network
        self.network.train()

    @property
    def _read_every(self) -> int:
        """Steps whose losses are read together; a search for a rate ends by each of them."""
        is_search = self.training_plan.training.is_search
        return READ_EVERY if self.is_on_gpu and not is_search else 1

    def _refuse_nan(self, step: int, loss: float) -> None:
        if not math.isfinite(loss) and not self.training_plan.training.is_search:
            raise RunError(f"loss must be finite, got {loss} at step {step}")
