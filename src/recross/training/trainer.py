"""What every training of an experiment shares: groups, validation, teacher, and the store."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from recross.collection import Collection
from recross.hardware import Hardware
from recross.negatives.parts import stages_of
from recross.negatives.ranked import RankWindow
from recross.negatives.sampler import NegativeSampler
from recross.retrieval.random_order import RandomOrder
from recross.retrieval.retriever import Retriever, retrieve_once
from recross.seeding import generator
from recross.store import Store
from recross.tracking.tracker import Log
from recross.training.fit import fit
from recross.training.groups import Groups, make_groups
from recross.training.leaks import LeakPolicy, find_leaks
from recross.training.module import Trainable, Validation
from recross.training.recipe import FineTuning, Recipe, Teach
from recross.training.teaching import Teacher, teach

logger = logging.getLogger(__name__)

EASY = RankWindow(RandomOrder())
"""Random negatives, for the first steps of a network whose head is fresh."""


@dataclass(frozen=True)
class Trainer:
    """Trains re-rankers on one collection; equal trainings share a checkpoint in the store.

    ``retriever`` and ``depth`` give the candidates that validation re-ranks.
    """

    collection: Collection
    train_split: str
    dev_split: str
    test_split: str
    retriever: Retriever
    depth: int
    negatives: NegativeSampler
    leaks: LeakPolicy
    hardware: Hardware
    seed: int
    store: Path

    def train(
        self,
        reranker: Trainable,
        recipe: Recipe,
        teacher: Teacher | None = None,
        log: Log | None = None,
    ) -> Path:
        """The folder of the checkpoint with its manifest, trained unless the store has it."""
        identity = {
            "reranker": reranker,
            "collection": self.collection.fingerprint,
            "splits": [self.train_split, self.dev_split, self.test_split],
            "leaks": self.leaks,
            "retriever": self.retriever,
            "negatives": self.negatives,
            "loss": recipe.loss,
            "training": recipe.training,
            "precision": recipe.training.hardware(self.hardware).effective_precision,
            "seed": recipe.seed,
            **({"teacher": teacher} if teacher is not None else {}),
        }

        def make(folder: Path) -> Mapping[str, Any]:
            teach = self._teach(teacher) if teacher is not None else None
            return self._fit(reranker, replace(recipe, teach=teach), folder, log)

        return Store(self.store).artefact("checkpoints", identity, make, resumable=True)

    def _teach(self, teacher: Teacher) -> Teach:
        """Train the teacher first, where it is to be."""
        reranker = teacher.reranker
        if isinstance(teacher.training, FineTuning) and isinstance(reranker, Trainable):
            logger.info("the teacher first")
            recipe = Recipe(teacher.loss, teacher.training, self.seed)
            reranker = reranker.trained(self.train(reranker, recipe))
        return teach(reranker, self.collection)

    def _fit(
        self,
        reranker: Trainable,
        recipe: Recipe,
        folder: Path,
        log: Log | None,
    ) -> Mapping[str, Any]:
        phases, record = self._phases(recipe.training)
        count = len(phases[-1][0].groups)
        logger.info("training on %d groups, %d steps", count, recipe.training.steps)
        validation = self._validation(recipe.training)
        took = fit(reranker, phases, recipe, self.hardware, validation, folder, log)
        return {"training": {**took, **record}}

    def _phases(self, training: FineTuning) -> tuple[list[tuple[Groups, float]], Mapping[str, Any]]:
        """Groups and their shares of the steps, easy ones first, and where they come from."""
        collection, split = self.collection, self.train_split
        leaks = find_leaks(collection, split, (self.dev_split, self.test_split))
        leaks.check(self.leaks)
        easy = training.easy_share
        stages: list[tuple[str, NegativeSampler, float]] = [("easy", EASY, easy)] if easy else []
        for name, part in stages_of(self.negatives).items():
            stages.append((name, part.sampler, (1 - easy) * part.share))
        phases, record = [], []
        for name, sampler, share in stages:
            groups = make_groups(
                sampler.mine(collection, split, Store(self.store)),
                *(collection, split, training.negatives_per_positive, self.seed, leaks),
            )
            phases.append((groups, share))
            counts = {"left_out": groups.left_out, "mined": groups.mined}
            record.append({"stage": name, "share": share, **counts})
        return phases, {"negatives": record, "leaks": leaks.counts}

    def _validation(self, training: FineTuning) -> Validation:
        judged = self.collection.qrels(self.dev_split)
        order = generator(0, "validation").permutation(len(judged))
        chosen = sorted(order[: training.validation_queries].tolist())
        query_ids = [list(judged)[number] for number in chosen]
        every = self.collection.query_ids(self.dev_split)
        candidates = retrieve_once(
            self.retriever, self.collection, every, self.depth, Store(self.store)
        )
        return Validation(
            candidates=candidates.restrict(query_ids).cut(training.validation_depth),
            collection=self.collection,
            qrels={query_id: judged[query_id] for query_id in query_ids},
            measure=training.measure,
        )
