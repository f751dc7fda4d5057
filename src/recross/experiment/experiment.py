"""An experiment: its parts by name, and the pipeline in reading order."""

from __future__ import annotations

import importlib.metadata
import logging
import shutil
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated

from recross.checkpoints.location import find_revisions
from recross.collections.collection import Collection, CollectionSource
from recross.errors import InputError
from recross.evaluation.measures import check_measures
from recross.experiment.place import Place
from recross.experiment.quality_gate import Judgments, QualityGate
from recross.experiment.results import RESULT, Outcome, finished, read_result, write_outcome
from recross.experiment.timing import time_stages
from recross.inference.cache.score_cache import ScoreCache
from recross.inference.session import Session
from recross.machine.environment import describe_environment
from recross.machine.hardware import Hardware
from recross.parts.bounds import Ge, checked
from recross.parts.identity import describe, fingerprint
from recross.records import JsonObject
from recross.rerankers.composed.interpolation import Interpolation, tune_interpolation
from recross.rerankers.reranker import Reranker, is_trainable
from recross.retrieval.retriever import Retriever, retrieve_once
from recross.runs import Run
from recross.store import DEFAULT_STORE, Store, read_manifest, write_json
from recross.tracking.tracker import Log, Tracker
from recross.training.data.leaks import LeakPolicy
from recross.training.data.splits import SplitCollection
from recross.training.data.training_data import TrainingData
from recross.training.losses.loss import Loss
from recross.training.recipe import FineTuning, Training, TrainingPlan
from recross.training.requirements import check_networks
from recross.training.teaching import Teacher, check_teacher
from recross.training.trainer import Trainer

logger = logging.getLogger(__name__)

NAMED = (
    *("collection", "retriever", "reranker", "training_data", "loss"),
    *("validation_retriever", "teacher"),
)
"""Fields that a record describes as parts, and that work in the experiment's session."""


@dataclass(frozen=True)
@checked
class Experiment:
    """One combination of parts and one seed; ``run`` writes its folder.

    ``depth`` is how many candidates are re-ranked. ``label`` names its row in a table.
    ``latency_queries`` test queries are timed one at a time on 100 candidates each.
    ``interpolate`` also reports the re-ranker mixed with the first stage, the weight chosen on dev.
    ``leaks`` says what becomes of training queries that dev or test asks, too, and of relevant
    documents that they share: queries are left out and documents counted, or both refused.
    ``training_data`` is where groups come from: judgments with mined negatives, or a file.
    ``validation_retriever`` gives the candidates on which checkpoints are chosen, for studies that
    train once and test with several retrievers; ``None``: the retriever itself.
    ``teacher`` scores the groups for losses that learn from one, unless a file brings its scores.
    ``cache`` is where networks keep their scores; it is off while latency is measured.
    ``quality_gate`` is what a reduced precision or another back-end must pass on dev.
    """

    collection: CollectionSource
    retriever: Retriever
    reranker: Reranker
    training_data: TrainingData
    loss: Loss
    training: Training
    hardware: Hardware
    tracking: Tracker = field(compare=False)
    cache: ScoreCache = field(compare=False)
    study: str
    name: str
    label: str | None = None
    seed: int = 0
    depth: Annotated[int, Ge(1)] = 100
    train_split: str = "train"
    dev_split: str = "dev"
    test_split: str = "test"
    measures: tuple[str, ...] = ("MRR@10", "nDCG@10")
    latency_queries: Annotated[int, Ge(0)] = 20
    interpolate: bool = True
    leaks: LeakPolicy = "leave_out"
    validation_retriever: Retriever | None = None
    teacher: Teacher | None = None
    quality_gate: QualityGate = field(default=QualityGate())
    output: Path = field(default=Path("outputs"), compare=False)
    store: Path = field(default=DEFAULT_STORE, compare=False)
    reuse: bool = field(default=True, compare=False)

    def __post_init__(self) -> None:
        self.session.settle(self, NAMED)
        if not self.measures:
            raise InputError("measures must name at least one measure, got none")
        check_measures(self.measures)
        if self.training.enabled:
            check_teacher(self.loss, self.teacher, self.training_data.may_be_taught)

    @property
    def session(self) -> Session:
        """Where the parts of this experiment run, and where what they make is kept."""
        return Session(self.hardware, self.store, self.cache)

    @property
    def folder(self) -> Path:
        """Where everything about this experiment lies."""
        return self.output / self.study / self.name / f"seed={self.seed}"

    @property
    def place(self) -> Place:
        """Its files; a failure is recorded in place of the result."""
        result = self.folder / RESULT
        return Place(result, self.folder / "config.yaml", result, self.output / self.study)

    @property
    def summary(self) -> str:
        """Its folder and what was measured, in one line."""
        measures = (read_result(self.folder) or {}).get("measures", {})
        named = "  ".join(f"{name} {value:.4f}" for name, value in measures.items())
        return f"{self.folder}: {named}"

    @property
    def fingerprint(self) -> str:
        """What the experiment is, wherever it is stored."""
        return fingerprint(self, importlib.metadata.version("recross"))

    def run(self) -> JsonObject:
        """Retrieve, sample negatives, train, re-rank, evaluate, time; return ``result.json``."""
        if self.reuse and (done := finished(self.folder, self.fingerprint)):
            logger.info("%s: finished before, reused", self.folder)
            return done
        logger.info("%s, seed %d", self.name, self.seed)
        start = time.perf_counter()
        self._check_networks()
        write_json(self.folder / "environment.json", describe_environment(self.hardware))
        log = self.tracking.open(self.folder, self.study, self.name, describe(self))
        collection = self.collection.load()
        reranker, training = self.train(collection, log)
        quality_gate = self._pass_gate(reranker, collection)
        candidates = self.retrieve(collection, self.test_split)
        logger.info("re-ranking %d queries", len(candidates))
        reranked = reranker.rerank(candidates, collection)
        interpolation = self._tune_interpolation(reranker, collection)
        timed = collection.query_ids(self.test_split)[: self.latency_queries]
        latency, first_stage_ms = time_stages(self.retriever, reranker, collection, timed)
        outcome = Outcome(
            candidates=candidates,
            reranked=reranked,
            interpolation=interpolation,
            training=training,
            latency=latency,
            first_stage_ms=first_stage_ms,
            parameters=(reranker if reranker.reranks else self.retriever).parameters,
            seconds=time.perf_counter() - start,
            quality_gate=quality_gate,
        )
        result = write_outcome(
            self.folder, self.names, outcome, collection, self.test_split, self.measures
        )
        log.finish(result)
        return result

    @property
    def names(self) -> JsonObject:
        """Which parts are combined, for the record."""
        return {
            "study": self.study,
            "name": self.name,
            "label": self.label or self.name,
            "seed": self.seed,
            "depth": self.depth,
            **{part: describe(getattr(self, part)) for part in (*NAMED, "hardware")},
            "negatives": describe(self.training_data.negatives),
            "recipe": describe(self.training),
            "precision": self.hardware.effective_precision,
            "backend": self.hardware.backend,
            "reranks": self.reranker.reranks,
            "candidates": self.retriever.name_candidates(self.depth, self.reranker.reranks),
            "base_checkpoint": self.reranker.base_checkpoint,
            "revisions": find_revisions(part.base_checkpoint for part in self.reranker.networks()),
            "fingerprint": self.fingerprint,
        }

    def retrieve(self, collection: Collection, split: str) -> Run:
        """The candidates of a split."""
        query_ids = collection.query_ids(split)
        logger.info("first stage, %d %s queries", len(query_ids), split)
        return retrieve_once(self.retriever, collection, query_ids, self.depth, Store(self.store))

    def train(self, collection: Collection, log: Log | None = None) -> tuple[Reranker, JsonObject]:
        """The re-ranker with its best checkpoint, and what training took.

        A re-ranker without a network to train, and ``training=none``, are left as they are. A
        checkpoint that an equal training left in the store is taken from there.
        """
        self._check_networks()
        training, reranker, trainer = self.training, self.reranker, self._trainer(collection)
        if not isinstance(training, FineTuning) or not is_trainable(reranker):
            return trainer.make_checkpoints(reranker), {}
        plan = TrainingPlan(self.loss, training, self.seed)
        checkpoint = trainer.train(reranker, plan, self.teacher, log)
        kept = self.folder / "checkpoint"
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(checkpoint, kept, ignore=shutil.ignore_patterns("manifest.json"))
        return reranker.trained(checkpoint), read_manifest(checkpoint)["training"]

    def _check_networks(self) -> None:
        check_networks(self.reranker, self.training)
        if self.teacher is not None and self.training.enabled:
            check_networks(self.teacher.reranker, self.teacher.training)

    def _has_dev(self, collection: Collection) -> bool:
        return bool(collection.split_qrels.get(self.dev_split))

    def _trainer(self, collection: Collection) -> Trainer:
        return Trainer(
            splits=SplitCollection(collection, self.train_split, self.dev_split, self.test_split),
            retriever=self.validation_retriever or self.retriever,
            training_data=self.training_data,
            leaks=self.leaks,
            session=self.session,
            seed=self.seed,
        )

    def _pass_gate(self, reranker: Reranker, collection: Collection) -> JsonObject | None:
        """The quality gate's verdict on dev; without judgments there test decides."""
        split = self.dev_split if self._has_dev(collection) else self.test_split
        judgments = Judgments.of(collection, split, self.measures[0])
        retrieve = partial(self.retrieve, collection, split)
        return self.quality_gate.judge(reranker, self.hardware, collection, judgments, retrieve)

    def _tune_interpolation(
        self, reranker: Reranker, collection: Collection
    ) -> Interpolation | None:
        """The interpolation that is best on dev, where one is wanted and dev is judged."""
        if not (self.interpolate and reranker.reranks and self._has_dev(collection)):
            return None
        dev = self.retrieve(collection, self.dev_split)
        return tune_interpolation(reranker, dev, collection, self.dev_split, self.measures[0])
