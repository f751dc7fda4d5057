"""What every training of an experiment shares: groups, validation, teacher, and the store."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from recross.collections.collection import Collection
from recross.inference.session import Session
from recross.negatives.ranked import RankWindow
from recross.retrieval.random_order import RandomOrder
from recross.retrieval.retriever import Retriever, retrieve_once
from recross.seeding import generator
from recross.store import Store
from recross.tracking.tracker import Log
from recross.training.data.groups import Groups
from recross.training.data.leaks import LeakPolicy, find_leaks
from recross.training.data.training_data import Task, TrainingData, mined_groups
from recross.training.fit import check, fit
from recross.training.recipe import FineTuning, Recipe, Teach
from recross.training.teaching import Teacher, teach
from recross.training.validation import Trainable, Validation

logger = logging.getLogger(__name__)

EASY = RankWindow(RandomOrder())
"""Random negatives, for the first steps of a network whose head is fresh."""


@dataclass(frozen=True)
class Trainer:
    """Trains re-rankers on one collection; equal trainings share a checkpoint in the store.

    ``retriever`` gives the candidates that validation re-ranks, to the recipe's own depth.
    """

    collection: Collection
    train_split: str
    dev_split: str
    test_split: str
    retriever: Retriever
    training_data: TrainingData
    leaks: LeakPolicy
    session: Session
    seed: int

    def train(
        self,
        reranker: Trainable,
        recipe: Recipe,
        teacher: Teacher | None = None,
        log: Log | None = None,
    ) -> Path:
        """The folder of the checkpoint with its manifest, trained unless the store has it."""
        hardware = recipe.training.hardware(self.session.hardware)
        identity = {
            "reranker": replace(self.session, hardware=hardware).over(reranker),
            "collection": self.collection.fingerprint,
            "splits": [self.train_split, self.dev_split, self.test_split],
            "leaks": self.leaks,
            "retriever": self.retriever,
            "training_data": self.training_data,
            "loss": recipe.loss,
            "training": recipe.training,
            "seed": recipe.seed,
            **({"teacher": teacher} if teacher is not None else {}),
        }

        def make(folder: Path) -> Mapping[str, Any]:
            teach = self._teach(teacher) if teacher is not None else None
            return self._fit(reranker, replace(recipe, teach=teach), folder, log)

        return Store(self.session.store).artefact("checkpoints", identity, make, resumable=True)

    def _teach(self, teacher: Teacher) -> Teach:
        """Train the teacher first, where it is to be."""
        reranker = teacher.reranker
        if isinstance(teacher.training, FineTuning) and isinstance(reranker, Trainable):
            logger.info("the teacher first")
            recipe = Recipe(teacher.loss, teacher.training, self.seed)
            reranker = reranker.trained(self.train(reranker, recipe))
        return teach(reranker)

    def _fit(
        self,
        reranker: Trainable,
        recipe: Recipe,
        folder: Path,
        log: Log | None,
    ) -> Mapping[str, Any]:
        check(recipe, reranker.network, recipe.training.hardware(self.session.hardware))
        phases, record = self._phases(recipe.training)
        count = len(phases[-1][0].groups)
        logger.info("training on %d groups, %d steps", count, recipe.training.steps)
        validation = self._validation(recipe.training)
        took = fit(reranker, phases, recipe, self.session.hardware, validation, folder, log)
        return {"training": {**took, **record}}

    def _phases(self, training: FineTuning) -> tuple[list[tuple[Groups, float]], Mapping[str, Any]]:
        """Groups and their shares of the steps, easy ones first, and where they come from."""
        easy = training.easy_share
        is_judged = self.training_data.reads_judgments or easy > 0
        split = self.train_split if is_judged else None
        leaks = find_leaks(self.collection, split, (self.dev_split, self.test_split))
        leaks.check(self.leaks)
        task = Task(
            *(self.collection, self.train_split, training.negatives_per_positive, self.seed),
            *(leaks, self.leaks, Store(self.session.store)),
        )
        stages = [("easy", mined_groups(EASY, task), easy)] if easy else []
        for name, (groups, share) in self.training_data.phases(task).items():
            stages.append((name, groups, (1 - easy) * share))
        record = [
            {"stage": name, "share": share, "left_out": groups.left_out, "mined": groups.mined}
            for name, groups, share in stages
        ]
        phases = [(groups, share) for _, groups, share in stages]
        return phases, {"negatives": record, "leaks": leaks.counts if is_judged else {}}

    def _validation(self, training: FineTuning) -> Validation:
        judged = self.collection.qrels(self.dev_split)
        order = generator(0, "validation").permutation(len(judged))
        chosen = sorted(order[: training.validation_queries].tolist())
        query_ids = [list(judged)[number] for number in chosen]
        every = self.collection.query_ids(self.dev_split)
        store = Store(self.session.store)
        candidates = retrieve_once(
            self.retriever, self.collection, every, training.validation_depth, store
        )
        return Validation(
            candidates=candidates.restrict(query_ids),
            collection=self.collection,
            qrels={query_id: judged[query_id] for query_id in query_ids},
            measure=training.measure,
            relevant_from=self.collection.relevant_grade(self.dev_split),
        )
