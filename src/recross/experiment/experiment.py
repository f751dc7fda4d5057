"""An experiment: its parts by name, and the pipeline in reading order."""

from __future__ import annotations

import importlib.metadata
import logging
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from recross.checkpoints.location import find_revisions
from recross.collections.collection import Collection, CollectionSource
from recross.errors import InputError
from recross.evaluation.latency import Latency, measure_reranking, measure_search
from recross.evaluation.measures import check_measures
from recross.experiment.model_card import write_card
from recross.experiment.place import Place
from recross.experiment.quality_gate import Judgments, QualityGate
from recross.experiment.results import (
    RESULT,
    Judged,
    Outcome,
    finished,
    read_result,
    record,
    write_files,
)
from recross.experiment.texts import texts_to_show
from recross.inference.cache.score_cache import ScoreCache, turn_caches_off
from recross.inference.session import Session
from recross.machine.environment import describe_environment, read_command_line
from recross.machine.hardware import Hardware
from recross.parts.identity import describe, fingerprint
from recross.rerankers.composed.interpolation import Interpolation, choose_interpolation
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
from recross.training.teaching import Teacher, check_teacher
from recross.training.trainer import Trainer

logger = logging.getLogger(__name__)

NAMED = (
    *("collection", "retriever", "reranker", "training_data", "loss"),
    *("validation_retriever", "teacher"),
)
"""Fields that a record describes as parts, and that work in the experiment's session."""

UNCOMPARED = {"passed": None, "failures": ["no network whose scores could be compared"]}
"""The gate's record of a reduced form that answers in words, or elsewhere."""


@dataclass(frozen=True)
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
    depth: int = 100
    train_split: str = "train"
    dev_split: str = "dev"
    test_split: str = "test"
    measures: tuple[str, ...] = ("MRR@10", "nDCG@10")
    latency_queries: int = 20
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
        if self.depth < 1:
            raise InputError(f"depth must be at least 1, got {self.depth}")
        if self.latency_queries < 0:
            raise InputError(f"latency_queries must not be negative, got {self.latency_queries}")
        if not self.measures:
            raise InputError("measures must name at least one measure, got none")
        check_measures(self.measures)
        if self.training.enabled:
            check_teacher(self.loss, self.teacher, self.training_data.may_be_taught)
        if self.leaks not in get_args(LeakPolicy):
            raise InputError(f"leaks must be leave_out or refuse, got {self.leaks!r}")

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

    def run(self) -> Mapping[str, Any]:
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
        interpolated, interpolation = self._interpolate(reranker, candidates, reranked, collection)
        latency, first_stage_ms = self._latency(reranker, collection)
        outcome = Outcome(
            candidates=candidates,
            reranked=reranked,
            interpolated=interpolated,
            interpolation=interpolation,
            training=training,
            latency=latency,
            first_stage_ms=first_stage_ms,
            parameters=self._parameters(reranker),
            seconds=time.perf_counter() - start,
            quality_gate=quality_gate,
        )
        judged = Judged.of(outcome, collection, self.test_split, self.measures)
        result = record(self.names, outcome, judged, collection, self.test_split, self.depth)
        if training:
            write_card(self.folder / "checkpoint", result, read_command_line())
        texts = texts_to_show(outcome.runs, collection, self.test_split)
        write_files(self.folder, outcome, judged, texts, result)
        log.finish(result)
        return result

    @property
    def names(self) -> dict[str, Any]:
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
            "candidates": self.candidates,
            "base_checkpoint": self.reranker.base_checkpoint,
            "revisions": find_revisions(part.base_checkpoint for part in self.reranker.networks()),
            "fingerprint": self.fingerprint,
        }

    def retrieve(self, collection: Collection, split: str) -> Run:
        """The candidates of a split."""
        query_ids = collection.query_ids(split)
        logger.info("first stage, %d %s queries", len(query_ids), split)
        return retrieve_once(self.retriever, collection, query_ids, self.depth, Store(self.store))

    def train(
        self, collection: Collection, log: Log | None = None
    ) -> tuple[Reranker, Mapping[str, Any]]:
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
        """Load what will be asked: one that is missing, does not fit or scores at random is told.

        Raises:
            InputError: a network cannot be loaded, or has a fresh head that nothing here trains.
        """
        stages = [(self.reranker, self.training)]
        if self.teacher is not None and self.training.enabled:
            stages.append((self.teacher.reranker, self.teacher.training))
        for reranker, training in stages:
            for part in reranker.networks():
                part.check()
                if part.is_made and not (training.enabled and reranker.can_be_trained):
                    part.check_trained()

    def _trainer(self, collection: Collection) -> Trainer:
        return Trainer(
            splits=SplitCollection(collection, self.train_split, self.dev_split, self.test_split),
            retriever=self.validation_retriever or self.retriever,
            training_data=self.training_data,
            leaks=self.leaks,
            session=self.session,
            seed=self.seed,
        )

    def _pass_gate(self, reranker: Reranker, collection: Collection) -> Mapping[str, Any] | None:
        """The verdict on the network of the least agreement; without dev judgments test decides."""
        reduced = [part for part in reranker.networks() if not part.hardware.is_reference]
        if not reduced:
            is_exact = self.hardware.is_reference or not reranker.reranks
            return None if is_exact else UNCOMPARED
        has_dev = bool(collection.split_qrels.get(self.dev_split))
        split = self.dev_split if has_dev else self.test_split
        judgments = Judgments(
            collection.qrels(split),
            self.measures[0],
            relevant_from=collection.relevant_grade(split),
        )
        candidates = self.retrieve(collection, split)
        asked = self.quality_gate.sample([q for q in candidates.rankings if q in judgments.qrels])
        candidates = candidates.restrict(asked)
        found = [
            self.quality_gate.check(part, candidates, collection, judgments) for part in reduced
        ]
        return min((one for one in found if one), key=lambda one: float(one["tau_mean"]))

    def _interpolate(
        self, reranker: Reranker, candidates: Run, reranked: Run, collection: Collection
    ) -> tuple[Run | None, Interpolation | None]:
        has_dev = bool(collection.split_qrels.get(self.dev_split))
        if not self.interpolate or not reranker.reranks or not has_dev:
            return None, None
        dev = self.retrieve(collection, self.dev_split)
        qrels = collection.qrels(self.dev_split)
        dev_reranked = reranker.rerank(dev, collection)
        chosen = choose_interpolation(dev, dev_reranked, qrels, self.measures[0])
        return chosen.mix(candidates, reranked), chosen

    def _latency(
        self, reranker: Reranker, collection: Collection
    ) -> tuple[Latency | None, Mapping[str, float]]:
        query_ids = collection.query_ids(self.test_split)[: self.latency_queries]
        if not query_ids:
            return None, {}
        logger.info("timing %d queries", len(query_ids))

        def search(asked: Sequence[str]) -> Run:
            return self.retriever.retrieve(collection, asked, 100)

        first_stage_ms = measure_search(search, query_ids)
        if not reranker.reranks:
            return None, first_stage_ms
        with turn_caches_off():
            latency = measure_reranking(reranker.rerank, search(query_ids), collection)
        return latency, first_stage_ms

    def _parameters(self, reranker: Reranker) -> int | None:
        """Size of the network that decides the order: the re-ranker's, else the first stage's."""
        return (reranker if reranker.reranks else self.retriever).parameters

    @property
    def candidates(self) -> str:
        """What the ranked documents are called: the same name for the same set."""
        if self.retriever.searches_collection and not self.reranker.reranks:
            return "full collection"
        return f"{self.retriever.candidates} top {self.depth}"
