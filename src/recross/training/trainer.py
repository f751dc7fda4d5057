"""What every training of an experiment shares: groups, validation, teacher, and the store."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from recross.errors import RunError
from recross.inference.session import Session
from recross.negatives.ranked import RankWindow
from recross.negatives.sampler import TrainingStage
from recross.parts.rebuilding import rebuild
from recross.records import JsonObject
from recross.rerankers.reranker import NetworkReranker, Reranker, Trainable, is_trainable
from recross.retrieval.random_order import RandomOrder
from recross.retrieval.retriever import Retriever, retrieve_once
from recross.seeding import make_generator
from recross.store import Store
from recross.tracking.tracker import Log
from recross.training.data.leaks import LeakPolicy, find_leaks
from recross.training.data.phases import Phase
from recross.training.data.splits import SplitCollection
from recross.training.data.training_data import Task, TrainingData, mine_phase
from recross.training.progress import TrainingFolder
from recross.training.recipe import FineTuning, TrainingPlan
from recross.training.requirements import check_plan
from recross.training.teaching import Teacher
from recross.training.trained import Trained
from recross.training.validation import Validation

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

logger = logging.getLogger(__name__)

_Part = TypeVar("_Part")

EASY = RankWindow(RandomOrder())
"""Random negatives, for the first steps of a network whose head is fresh."""


@dataclass(frozen=True)
class Trainer:
    """Trains re-rankers on one collection; equal trainings share a checkpoint in the store.

    ``retriever`` gives the candidates that validation re-ranks, to the recipe's own depth.
    """

    splits: SplitCollection
    retriever: Retriever
    training_data: TrainingData
    leaks: LeakPolicy
    session: Session
    seed: int

    def train(
        self,
        reranker: Trainable,
        plan: TrainingPlan,
        teacher: Teacher | None = None,
        log: Log | None = None,
    ) -> Path:
        """The folder of the checkpoint with its manifest, trained unless the store has it.

        The curves of a training that is not repeated are given to the log as well. Nodes that are
        not the first take part in the training, and wait for what that one leaves.

        Raises:
            RunError: the first node has ended before it left anything.
        """
        hardware = plan.training.hardware(self.session.hardware)
        identity = {
            "reranker": replace(self.session, hardware=hardware).over(reranker),
            "collection": self.splits.collection.fingerprint,
            "splits": self.splits.names,
            "leaks": self.leaks,
            "retriever": self.retriever,
            "training_data": self.training_data,
            "loss": plan.loss,
            "training": plan.training,
            "seed": plan.seed,
            "summed": hardware.summation,
            **({"teacher": teacher} if teacher is not None else {}),
        }

        live = False

        def make(folder: Path) -> JsonObject:
            nonlocal live
            live = TrainingFolder(folder).finished() is None
            scorer = self._prepare(teacher) if teacher is not None else None
            made = self.make_checkpoints(reranker)
            return self._fit(made, replace(plan, teacher=scorer), folder, log)

        if not hardware.is_first_node and self._store.find("checkpoints", identity) is None:
            make(self._store.unfinished("checkpoints", identity))
            finish: Callable[[Path], JsonObject] = _refuse_to_train_alone
        else:
            finish = make
        folder = self._store.artefact("checkpoints", identity, finish, resumable=True)
        if log is not None and not live:
            TrainingFolder(folder).replay(log)
        return folder

    def make_checkpoints(self, part: _Part) -> _Part:
        """The same part with the folders of the checkpoints that it describes as trainings.

        Those that the store lacks are trained first; other processes that ask for them wait.
        """

        def make(held: DataclassInstance) -> DataclassInstance:
            match held:
                case NetworkReranker(checkpoint=Trained() as trained):
                    folder = self._find_or_train(trained)
                    return replace(held, checkpoint=str(folder), alias=held.name)
            return held

        return rebuild(part, make)

    def _find_or_train(self, trained: Trained) -> Path:
        """Train as described, and in all else as this trainer does."""
        reranker, splits = trained.reranker, self.splits
        if trained.collection is not None:
            splits = replace(splits, collection=trained.collection.load())
        trainer = replace(
            self,
            splits=splits,
            retriever=trained.retriever or self.retriever,
            training_data=trained.training_data,
            seed=self.seed if trained.seed is None else trained.seed,
        )
        plan = TrainingPlan(trained.loss, trained.training, trainer.seed)
        return trainer.train(reranker, plan, trained.teacher)

    @property
    def _store(self) -> Store:
        return Store(self.session.store)

    def _prepare(self, teacher: Teacher) -> Reranker:
        """Return the teacher's re-ranker, trained first where it is to be."""
        reranker = teacher.reranker
        if isinstance(teacher.training, FineTuning) and is_trainable(reranker):
            logger.info("the teacher first")
            plan = TrainingPlan(teacher.loss, teacher.training, self.seed)
            return reranker.trained(self.train(reranker, plan))
        return self.make_checkpoints(reranker)

    def _fit(
        self,
        reranker: Trainable,
        plan: TrainingPlan,
        folder: Path,
        log: Log | None,
    ) -> JsonObject:
        from recross.training.fit import fit

        training = plan.training
        check_plan(plan, reranker.network, training.hardware(self.session.hardware))
        phases, leaks = self._find_phases(training)
        for phase in phases:
            logger.info("training data, stage %s: %s", phase.name, phase.groups.summary)
        logger.info("training on %d groups, %d steps", len(phases[-1].groups), training.steps)
        validation = self._make_validation(training)
        took = fit(reranker, phases, plan, self.session, validation, folder, log)
        record = {"negatives": [phase.record for phase in phases], "leaks": leaks}
        return {"training": {**took, **record}}

    def _find_phases(self, training: FineTuning) -> tuple[Sequence[Phase], Mapping[str, int]]:
        """Return groups and their shares of the steps, easy ones first, and the leaks found."""
        splits, easy = self.splits, training.easy_share
        is_judged = self.training_data.reads_judgments or easy > 0
        split = splits.train if is_judged else None
        leaks = find_leaks(splits.collection, split, (splits.dev, splits.test))
        leaks.check(self.leaks)
        task = Task(
            collection=splits.collection,
            split=splits.train,
            negatives=training.negatives_per_positive,
            seed=self.seed,
            leaks=leaks,
            leak_policy=self.leaks,
            store=self._store,
        )
        first = [mine_phase("easy", TrainingStage(EASY, easy), task)] if easy else []
        others = self.make_checkpoints(self.training_data).make_phases(task)
        phases = [*first, *(replace(phase, share=(1 - easy) * phase.share) for phase in others)]
        return phases, leaks.counts if is_judged else {}

    def _make_validation(self, training: FineTuning) -> Validation:
        collection, dev = self.splits.collection, self.splits.dev
        judged = collection.judged(dev)
        order = make_generator(0, "validation").permutation(len(judged))
        chosen = sorted(order[: training.validation_queries].tolist())
        query_ids = [list(judged)[number] for number in chosen]
        depth, every = training.validation_depth, collection.query_ids(dev)
        candidates = retrieve_once(self.retriever, collection, every, depth, self._store)
        return Validation(
            candidates=candidates.restrict(query_ids),
            collection=collection,
            qrels={query_id: judged[query_id] for query_id in query_ids},
            measure=training.measure,
            relevant_from=collection.relevant_grade(dev),
        )


def _refuse_to_train_alone(_folder: Path) -> JsonObject:
    raise RunError("a training must be finished by its first node, which has ended before")
