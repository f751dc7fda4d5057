"""One combination of parts, and its training: what an experiment and a training alone share."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

from recross.collections.collection import Collection, CollectionSource
from recross.evaluation.measures import MeasureNames
from recross.experiment.finished_folder import keep_checkpoint
from recross.experiment.place import Place, check_apart
from recross.experiment.quality_gate import QualityGate
from recross.experiment.readiness import CommandNeeds
from recross.inference.cache.score_cache import ScoreCache
from recross.inference.session import Session
from recross.machine.environment import describe_environment
from recross.machine.hardware import Hardware
from recross.machine.nodes import read_node_rank
from recross.parts.bounds import Filled, FolderName, Ge, OneLine, Seed, checked
from recross.parts.fields import read_field_values
from recross.parts.identity import describe
from recross.records import JsonObject
from recross.rerankers.reranker import Reranker, is_trainable
from recross.retrieval.retriever import Retriever
from recross.store import DEFAULT_STORE, read_manifest, write_json
from recross.tracking.tracker import Log, Tracker
from recross.training.data.leaks import LeakPolicy
from recross.training.data.splits import SplitCollection
from recross.training.data.training_data import TrainingData
from recross.training.losses.loss import Loss
from recross.training.recipe import FineTuning, Training, TrainingPlan
from recross.training.requirements import check_processes
from recross.training.teaching import Teacher, check_teacher
from recross.training.trainer import Trainer
from recross.writing.progress import working

NAMED = (
    *("collection", "retriever", "reranker", "training_data", "loss"),
    *("validation_retriever", "teacher"),
)
"""Fields that a record describes as parts, and that work in the experiment's session."""


@dataclass(frozen=True)
@checked
class Combination:
    """Parts by name and one seed; an experiment, or a training alone, is made of them.

    ``depth`` is how many candidates are re-ranked. ``label`` names its row in a table, ``curve``
    the line of a plot over depths or budgets that it is a point of.
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
    study: Annotated[str, FolderName()]
    name: Annotated[str, FolderName()]
    label: Annotated[str, OneLine()] | None = None
    curve: Annotated[str, OneLine()] | None = None
    seed: Seed = 0
    depth: Annotated[int, Ge(1)] = 100
    train_split: str = "train"
    dev_split: str = "dev"
    test_split: str = "test"
    measures: Annotated[tuple[str, ...], Filled("name at least one measure"), MeasureNames()] = (
        "MRR@10",
        "nDCG@10",
    )
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
        check_apart(self.store, self.output / self.study, self.output / self.study / self.name)
        self.session.settle(self, NAMED)
        if self.training.enabled:
            check_processes(self.hardware)
            check_teacher(self.loss, self.teacher, self.training_data.may_be_taught)

    @property
    def session(self) -> Session:
        """Where the parts of this experiment run, and where what they make is kept."""
        return Session(self.hardware, self.store, self.cache)

    @property
    def needs(self) -> CommandNeeds:
        """What will be used: where nothing is trained, neither training data nor a teacher."""
        parts: dict[str, object] = {"retriever": self.retriever, "reranker": self.reranker}
        if not (self.training.enabled and self.reranker.can_be_trained):
            return CommandNeeds(self.collection, self.hardware, parts, trains=True)
        held = read_field_values(self)
        parts |= {name: held[name] for name in ("training_data", "validation_retriever", "teacher")}
        splits = {"dev_split": self.dev_split}
        if self.training_data.reads_judgments:
            splits = {"train_split": self.train_split, **splits}
        learners = frozenset(["reranker"])
        needs = CommandNeeds(self.collection, self.hardware, parts, splits)
        return replace(needs, learners=learners, trains=True)

    @property
    def folder(self) -> Path:
        """Where everything about this experiment lies."""
        return self.output / self.study / self.name / f"seed={self.seed}"

    @property
    def lock(self) -> Path:
        """What one process at a time holds that writes into the folder."""
        return self.folder / ".lock"

    def open_log(self) -> Log:
        """Record which machine works, and open the log of what is measured on the way."""
        write_json(self.folder / "environment.json", describe_environment(self.hardware))
        return self.tracking.open(self.folder, self.study, self.name, describe(self))

    def train(self, collection: Collection, log: Log | None = None) -> tuple[Reranker, JsonObject]:
        """The re-ranker with its best checkpoint, and what training took.

        A re-ranker without a network to train, and ``training=none``, are left as they are. A
        checkpoint that an equal training left in the store is taken from there.
        """
        self.check_networks()
        training, reranker, trainer = self.training, self.reranker, self._trainer(collection)
        if not isinstance(training, FineTuning) or not is_trainable(reranker):
            return trainer.make_checkpoints(reranker), {}
        plan = TrainingPlan(self.loss, training, self.seed)
        checkpoint = trainer.train(reranker, plan, self.teacher, log)
        if self.hardware.is_first_node:
            keep_checkpoint(checkpoint, self.folder)
        return reranker.trained(checkpoint), read_manifest(checkpoint)["training"]

    def take_part(self, place: Place) -> JsonObject:
        """Share the trainings of the first node, which writes all files and does all the rest."""
        with place.alone():
            rank, nodes = read_node_rank(self.hardware.nodes), self.hardware.nodes
            self.check_networks()
            with working(f"node {rank} of {nodes}, taking part in the training"):
                self.train(self.collection.load())
            return place.record_part()

    def check_networks(self) -> None:
        """Load what searches, judges, is to be trained, and teaches it, before any work.

        Raises:
            InputError: a path, a split, a device or a network is missing, or one cannot be trained
                as it is to be.
        """
        needs = self.needs
        needs.check()
        needs.load()

    def _trainer(self, collection: Collection) -> Trainer:
        return Trainer(
            splits=SplitCollection(collection, self.train_split, self.dev_split, self.test_split),
            retriever=self.validation_retriever or self.retriever,
            training_data=self.training_data,
            leaks=self.leaks,
            session=self.session,
            seed=self.seed,
        )


def find_dev_measure(training: JsonObject) -> float | None:
    """The best measure on dev that a training says it validated; ``None`` if it did not."""
    return next((value for name, value in training.items() if name.startswith("best dev ")), None)
