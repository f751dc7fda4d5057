"""The Lightning module: one optimiser step over micro-batches, validation by a ranking measure."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, Self, runtime_checkable

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from recross.collection import Collection
from recross.evaluation.measures import evaluate
from recross.hardware import Hardware
from recross.inference.engine import Engine
from recross.records import Qrels
from recross.runs import Run
from recross.tracking.tracker import Log
from recross.training.data import MicroBatch, Step, StepData
from recross.training.losses.loss import Loss

logger = logging.getLogger(__name__)


@runtime_checkable
class Trainable(Protocol):
    """A re-ranker whose network can be trained."""

    @property
    def network(self) -> Any:
        """The network: a module that encodes texts, scores batches, and saves itself.

        ``None`` in a re-ranker around another one that has none: there is nothing to train.
        """

    def trained(self, folder: Path) -> Self:
        """The same re-ranker with the weights of a folder."""

    def rerank_with(self, engine: Engine, candidates: Run, collection: Collection) -> Run:
        """Re-rank through an engine of the network as it stands."""


@dataclass(frozen=True)
class Validation:
    """A real candidate list of development queries, and the measure that picks the checkpoint."""

    candidates: Run
    collection: Collection
    qrels: Qrels
    measure: str

    def measure_of(self, reranked: Run) -> float:
        """Mean of the measure."""
        relevant_from = self.collection.relevant_from
        return evaluate(reranked, self.qrels, [self.measure], relevant_from).mean[self.measure]


@dataclass(frozen=True)
class Optimisation:
    """AdamW with linear warm-up over ``warmup_share`` of ``steps``, then linear decay to zero.

    ``head_learning_rate`` is for a freshly initialised head. With a ``first_stage_weight`` above 0
    the loss sees the network's score plus that much of the first stage's, so that the network
    learns what the first stage misses.
    """

    steps: int
    learning_rate: float
    head_learning_rate: float | None
    weight_decay: float
    warmup_share: float
    max_grad_norm: float
    first_stage_weight: float

    def rate(self, step: int) -> float:
        """Share of the peak learning rate at a step."""
        warmup = max(1, round(self.steps * self.warmup_share))
        if step < warmup:
            return (step + 1) / warmup
        return max(0.0, (self.steps - step) / max(1, self.steps - warmup))


class RankingModule(pl.LightningModule):
    """Trains a network on groups and ranks the development queries between steps."""

    def __init__(
        self,
        reranker: Trainable,
        loss: Loss,
        optimisation: Optimisation,
        hardware: Hardware,
        data: StepData,
        validation: Validation,
        log: Log | None,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False  # a step is several micro-batches of unequal size
        self.reranker = reranker
        self.network = reranker.network
        self.loss = loss
        self.optimisation = optimisation
        self.hardware = hardware
        self.data = data
        self.validation = validation
        self.tracker_log = log

    def transfer_batch_to_device(self, batch: Any, device: torch.device, number: int) -> Any:
        """Leave batches alone: a step moves its micro-batches itself, one at a time."""
        return batch

    def training_step(self, step: Step, number: int) -> Tensor:
        """Accumulate the gradients of the step's micro-batches, clip, update."""
        optimizer: Any = self.optimizers()
        optimizer.zero_grad()
        total = torch.zeros((), device=self.device)
        for number_in_step, part in enumerate(step, start=1):
            micro = part.to(self.device)
            loss = self.loss(self._lists(micro), self._targets(micro)) * micro.share
            with self._gradients_shared(number_in_step == len(step)):
                self.manual_backward(loss)
            total += loss.detach()
        self._refuse_nan(total, number)
        self.clip_gradients(optimizer, self.optimisation.max_grad_norm, "norm")
        optimizer.step()
        schedule: Any = self.lr_schedulers()
        schedule.step()
        self.log("loss", total, prog_bar=True, batch_size=1)
        self._record(number + 1, loss=float(total), learning_rate=schedule.get_last_lr()[0])
        return total

    def train_dataloader(self) -> DataLoader[Step]:
        """Steps, of which this process takes its part."""
        self.data.rank, self.data.ranks = self.trainer.global_rank, self.trainer.world_size
        return DataLoader(self.data, batch_size=None, shuffle=False)

    def val_dataloader(self) -> DataLoader[Run]:
        """One item: the whole candidate list."""
        candidates: Any = [self.validation.candidates]
        return DataLoader(candidates, batch_size=None)

    def validation_step(self, candidates: Run, number: int) -> None:
        """Re-rank the development queries with the weights as they are."""
        own = replace(self.hardware, devices=1)
        engine = Engine(self.network, own)
        reranked = self.reranker.rerank_with(engine, candidates, self.validation.collection)
        value = self.validation.measure_of(reranked)
        self.log(self.validation.measure, value, prog_bar=True, batch_size=1, sync_dist=True)
        logger.info("step %d: dev %s %.4f", self.global_step, self.validation.measure, value)
        self._record(self.global_step, **{f"dev {self.validation.measure}": value})

    def configure_optimizers(self) -> Any:
        """AdamW; no decay for biases and norms, the head at its own rate."""
        settings = self.optimisation
        head_rate = settings.head_learning_rate or settings.learning_rate
        groups = [
            {
                "params": [p for name, p in self.network.named_parameters() if wanted(name, p)],
                "lr": rate,
                "weight_decay": decay,
            }
            for head, rate in ((False, settings.learning_rate), (True, head_rate))
            for flat, decay in ((False, settings.weight_decay), (True, 0.0))
            for wanted in [_chooser(self.network.heads, head, flat)]
        ]
        optimizer = torch.optim.AdamW([group for group in groups if group["params"]])
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, settings.rate)
        return [optimizer], [schedule]

    def _lists(self, micro: MicroBatch) -> Tensor:
        """What the loss sees: scores ``(Q, N)``, or logits of the answers ``(Q, N, C)``."""
        if self.loss.reads_answers:
            return micro.lists(self.network.answers(micro.batch).float())
        lists = micro.lists(self.network(micro.batch).float())
        return lists + self.optimisation.first_stage_weight * micro.first_stage_scores

    def _targets(self, micro: MicroBatch) -> Tensor:
        return micro.teacher_scores if self.loss.learns_from_teacher else micro.labels

    def _gradients_shared(self, last: bool) -> AbstractContextManager[None]:
        """Processes hold unequal numbers of micro-batches, so they meet at each step's last."""
        model: Any = self.trainer.model
        return nullcontext() if last or self.trainer.world_size == 1 else model.no_sync()

    def _record(self, step: int, **values: float) -> None:
        if self.tracker_log is not None and self.trainer.is_global_zero:
            self.tracker_log.log(step, values)

    def _refuse_nan(self, loss: Tensor, number: int) -> None:
        if not torch.isfinite(loss):
            raise FloatingPointError(f"loss must be finite, got {float(loss)} at step {number + 1}")


def _chooser(heads: Sequence[str], head: bool, flat: bool) -> Callable[[str, nn.Parameter], bool]:
    def wanted(name: str, parameter: nn.Parameter) -> bool:
        is_head = any(part in name for part in heads)
        return parameter.requires_grad and is_head == head and (parameter.ndim < 2) == flat

    return wanted
