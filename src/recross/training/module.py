"""The Lightning module: one optimiser step over micro-batches, validation by a ranking measure."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from recross.collections.collection import Collection
from recross.errors import RunError
from recross.inference.engine import Engine
from recross.inference.session import Session
from recross.machine.hardware import Hardware
from recross.records import TrainingGroup
from recross.runs import Run
from recross.seeding import generator
from recross.tracking.tracker import Log
from recross.training.data.in_batch import InBatchStep
from recross.training.data.micro_batches import MicroBatch
from recross.training.data.steps import Step, StepData
from recross.training.optimisation import AveragedWeights
from recross.training.progress import Progress, TrainingFolder
from recross.training.recipe import Recipe
from recross.training.validation import Trainable, Validation

logger = logging.getLogger(__name__)

COLLAPSED = 1e-6
"""A network whose scores of every query's documents differ by less tells nothing apart."""


class RankingModule(pl.LightningModule):
    """Trains a network on groups and ranks the development queries between steps."""

    def __init__(
        self,
        reranker: Trainable,
        recipe: Recipe,
        hardware: Hardware,
        data: StepData,
        validation: Validation,
        folder: TrainingFolder,
        log: Log | None,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False  # a step is several micro-batches of unequal size
        self.reranker = reranker
        self.network = reranker.network
        self.recipe = recipe
        self.hardware = hardware
        self.data = data
        self.validation = validation
        self.folder = folder
        self.tracker_log = log
        self.progress = Progress()
        self.averages: AveragedWeights | None = None
        self._began = self._saved = time.perf_counter()

    def transfer_batch_to_device(self, batch: Any, device: torch.device, number: int) -> Any:
        """Leave batches alone: a step moves its micro-batches itself, one at a time."""
        return batch

    def setup(self, stage: str) -> None:
        """Prepare this process: one that Lightning spawned begins with torch's defaults."""
        self.hardware.prepare()

    def on_train_start(self) -> None:
        """Go on from the state that an interrupted training left."""
        if (decay := self.recipe.training.averaging) is not None:
            self.averages = AveragedWeights(self.network, decay)
        if (saved := self.folder.load()) is not None:
            self._restore(*saved)
        self._refresh()
        self._began = self._saved = time.perf_counter()

    def training_step(self, step: Step, _number: int) -> Tensor:
        """Accumulate the gradients of the step's micro-batches, clip, update."""
        optimizer: Any = self.optimizers()
        self._seed_dropout()
        optimizer.zero_grad()
        if isinstance(step, InBatchStep):
            total = self._learn_across(step)
        else:
            total = self._learn_within(step)
        self._refuse_nan(total)
        self.clip_gradients(optimizer, self.recipe.training.max_grad_norm, "norm")
        optimizer.step()
        schedule: Any = self.lr_schedulers()
        schedule.step()
        if self.averages is not None:
            self.averages.update()
        self.progress.step += 1
        self.log("loss", total, prog_bar=True, batch_size=1)
        self._record(loss=float(total), learning_rate=schedule.get_last_lr()[0])
        return total

    def _learn_within(self, step: Sequence[MicroBatch]) -> Tensor:
        """Gradients of groups that learn from their own documents."""
        total = torch.zeros((), device=self.device)
        for number, part in enumerate(step, start=1):
            micro = part.to(self.device)
            scores = self._lists(micro)
            loss = self.recipe.loss.of(scores, micro.labels, micro.teacher_scores) * micro.share
            with self._gradients_shared(number == len(step)):
                self.manual_backward(loss)
            total += loss.detach()
            self.progress.pairs += len(micro.batch)
            self.progress.tokens += len(micro.batch.tokens)
        return total

    def _learn_across(self, step: InBatchStep) -> Tensor:
        """Gradients of queries that learn from all documents of the step.

        Processes share the chunks, and each knows all vectors; their gradients are averaged.
        """
        step = step.to(self.device)
        rank, ranks = self.trainer.global_rank, self.trainer.world_size
        own = range(rank, len(step.chunks), ranks)
        with torch.no_grad():
            encoded = [self._chunk_vectors(step, number) for number in own]
        vectors = torch.zeros(step.texts, encoded[0].shape[1], device=self.device)
        for number, found in zip(own, encoded, strict=True):
            vectors[step.chunks[number][0]] = found
        vectors = self._summed(vectors).requires_grad_()
        with torch.enable_grad():
            scores = step.scores(vectors, self.network.scale)
            loss = self.recipe.loss.of(scores, step.labels, step.teacher_scores)
            (wanted,) = torch.autograd.grad(loss, vectors)
        for number in own:
            which, batch = step.chunks[number]
            part = (self._chunk_vectors(step, number) * wanted[which]).sum() * ranks
            with self._gradients_shared(number + ranks >= len(step.chunks)):
                self.manual_backward(part)
            self.progress.tokens += len(batch.tokens)
        self.progress.pairs += step.pairs if rank == 0 else 0
        return loss.detach()

    def _chunk_vectors(self, step: InBatchStep, number: int) -> Tensor:
        """Unit vectors of a chunk; twice the same, whatever dropout there is."""
        self._seed_dropout(f"chunk {number}")
        _, batch = step.chunks[number]
        found: Tensor = self.network.vectors(batch.to(self.device)).float()
        return found

    def on_train_batch_end(self, *_: Any) -> None:
        """Validate and save where it is time to."""
        training = self.recipe.training
        is_due = time.perf_counter() - self._saved >= training.save_seconds
        if self.progress.step % (training.steps // training.validations) == 0:
            self._validate()
            is_due = True
        self._refresh()
        if is_due and self.progress.step < training.steps:
            self._save()

    def on_train_end(self) -> None:
        """Leave the final state for the process that waits for it."""
        own = [float(self.progress.pairs), float(self.progress.tokens)]
        done = self._summed(torch.tensor(own, dtype=torch.float64, device=self.device))
        self.progress.pairs, self.progress.tokens = map(int, done.tolist())
        self._save()

    def findings(self) -> Mapping[str, Any]:
        """What else than weights the training leaves, for its record."""
        return {}

    def train_dataloader(self) -> DataLoader[Step]:
        """Steps, of which this process takes its part."""
        self.data.rank, self.data.ranks = self.trainer.global_rank, self.trainer.world_size
        return DataLoader(self.data, batch_size=None, shuffle=False)

    def configure_optimizers(self) -> Any:
        """AdamW under a schedule of warm-up and decay."""
        settings = self.recipe.training.optimisation
        optimizer = settings.optimiser(self.network, self.network.heads)
        return [optimizer], [torch.optim.lr_scheduler.LambdaLR(optimizer, settings.rate)]

    def _validate(self) -> None:
        """Re-rank the development queries, shared by all processes, with the weights as they are.

        Raises:
            RunError: the scores have collapsed to a constant.
        """
        own = self.validation.share(self.trainer.global_rank, self.trainer.world_size)
        with self.averages.in_place() if self.averages is not None else nullcontext():
            reranked = self._reranked(own.candidates, own.collection)
            found = torch.tensor([own.sum_of(reranked), len(own.qrels)], device=self.device)
            value = float(torch.div(*self._summed(found)))
            self._refuse_collapse(reranked)
            if self.progress.judge(value) and self.trainer.is_global_zero:
                self.folder.keep_best(self.network.state_dict())
        measure = self.validation.measure
        logger.info("step %d: dev %s %.4f", self.progress.step, measure, value)
        self._record(**{f"dev {measure}": value})
        patience = self.recipe.training.patience
        if patience is not None and self.progress.validations_without_gain >= patience:
            logger.info("no gain in %d validations: training ends early", patience)
            self.trainer.should_stop = True

    def _refresh(self) -> None:
        """Where it is time to, let the network choose what the following steps learn from."""
        step = self.progress.step
        if not self.data.refresh_at(step):
            return
        pools = self.data.pools(step)
        own = range(self.trainer.global_rank, len(pools), self.trainer.world_size)
        width = max(len(pool.doc_ids) for pool in pools) - 1
        found = torch.zeros(len(pools), width, device=self.device)
        for number, scores in zip(own, self._negative_scores([pools[n] for n in own]), strict=True):
            found[number, : len(scores)] = torch.tensor(scores)
        every = self._summed(found).tolist()
        sizes = [len(pool.doc_ids) - 1 for pool in pools]
        self.data.refresh(step, [row[:size] for row, size in zip(every, sizes, strict=True)])
        logger.info("step %d: hardest negatives of %d groups found anew", step, len(pools))

    def _negative_scores(self, pools: Sequence[TrainingGroup]) -> list[list[float]]:
        """What the network as it stands says of each pool's negatives."""
        asked: dict[str, dict[str, float]] = {}
        for pool in pools:
            asked.setdefault(pool.query_id, {}).update(dict.fromkeys(pool.doc_ids[1:], 0.0))
        reranked = self._reranked(Run.from_scores("pools", asked), self.data.collection)
        known = {query_id: dict(ranking) for query_id, ranking in reranked.rankings.items()}
        return [[known[pool.query_id][d] for d in pool.doc_ids[1:]] for pool in pools]

    def _reranked(self, candidates: Run, collection: Collection) -> Run:
        """The candidates in the order of the network as it stands, without dropout."""
        self.network.eval()
        engine = Engine(self.network, Session(replace(self.hardware, devices=1)))
        reranked = self.reranker.rerank_with(engine, candidates, collection)
        self.network.train()
        return reranked

    def _save(self) -> None:
        now = time.perf_counter()
        self.progress.seconds += now - self._began
        self._began = self._saved = now
        if not self.trainer.is_global_zero:
            return
        optimizer: Any = self.optimizers(use_pl_optimizer=False)
        schedule: Any = self.lr_schedulers()
        tensors = {
            "network": self.network.state_dict(),
            "optimizer": optimizer.state_dict(),
            "schedule": schedule.state_dict(),
            "averages": self.averages.averages if self.averages is not None else [],
            "hardest": self.data.hardest,
        }
        self.folder.save(self.progress, tensors)

    def _restore(self, progress: Progress, saved: Any) -> None:
        logger.info("training goes on after step %d", progress.step)
        optimizer: Any = self.optimizers(use_pl_optimizer=False)
        schedule: Any = self.lr_schedulers()
        self.network.load_state_dict(saved["network"])
        optimizer.load_state_dict(saved["optimizer"])
        schedule.load_state_dict(saved["schedule"])
        if self.averages is not None:
            self.averages.restore(saved["averages"])
        self.data.hardest = saved["hardest"]
        self.progress = progress
        for step, values in progress.curves:
            self._log_values(step, values)

    def _seed_dropout(self, part: str = "") -> None:
        """Draw dropout for this step, or a part of it, whatever was drawn before."""
        name = f"{self.progress.step} {part or self.trainer.global_rank}"
        torch.manual_seed(int(generator(self.recipe.seed, "dropout", name).integers(2**63)))

    def _lists(self, micro: MicroBatch) -> Tensor:
        """What the loss sees: scores ``(Q, N)``, or logits of the answers ``(Q, N, C)``."""
        if self.recipe.loss.reads_answers:
            return micro.lists(self.network.answers(micro.batch).float())
        lists = micro.lists(self.network(micro.batch).float())
        return lists + self.recipe.training.first_stage_weight * micro.first_stage_scores

    def _gradients_shared(self, last: bool) -> AbstractContextManager[None]:
        """Processes hold unequal numbers of micro-batches, so they meet at each step's last."""
        model: Any = self.trainer.model
        return nullcontext() if last or self.trainer.world_size == 1 else model.no_sync()

    def _summed(self, values: Tensor) -> Tensor:
        """Sum over all processes."""
        total: Tensor = self.trainer.strategy.reduce(values, reduce_op="sum")
        return total

    def _record(self, **values: float) -> None:
        self.progress.curves.append((self.progress.step, values))
        self._log_values(self.progress.step, values)

    def _log_values(self, step: int, values: dict[str, float]) -> None:
        if self.tracker_log is not None and self.trainer.is_global_zero:
            self.tracker_log.log(step, values)

    def _refuse_nan(self, loss: Tensor) -> None:
        if not torch.isfinite(loss):
            at = self.progress.step + 1
            raise RunError(f"loss must be finite, got {float(loss)} at step {at}")

    def _refuse_collapse(self, reranked: Run) -> None:
        scores = [[doc.score for doc in ranking] for ranking in reranked.rankings.values()]
        spreads = [max(own) - min(own) for own in scores if len(own) > 1]
        if spreads and max(spreads) < COLLAPSED:
            raise RunError(
                "scores must tell documents apart, got one constant for all of a query's"
                f" candidates at step {self.progress.step}: a lower training.learning_rate,"
                " a longer warm-up or another loss may help"
            )
