"""Distillation: a teacher scores the documents of the groups that a student learns from."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from recross.collections.collection import Collection
from recross.errors import InputError
from recross.records import TrainingGroup
from recross.rerankers.reranker import Reranker
from recross.runs import Run
from recross.training.losses.loss import Loss
from recross.training.recipe import Teach, Training

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Teacher:
    """A re-ranker to learn from, as it is or trained first.

    With a ``training`` it learns from the same groups as the student, by ``loss``; an experiment
    of its own with the same parts shares the checkpoint.
    """

    reranker: Reranker
    training: Training
    loss: Loss

    def __post_init__(self) -> None:
        if self.training.enabled and self.loss.learns_from_teacher:
            raise InputError(
                "teacher.loss must be one over labels: a teacher has no teacher of its own,"
                f" got {type(self.loss).__name__}"
            )


def teach(reranker: Reranker) -> Teach:
    """Return what scores groups with a re-ranker; a query's document is scored once."""

    def scored(groups: Sequence[TrainingGroup], collection: Collection) -> Sequence[TrainingGroup]:
        asked: dict[str, dict[str, float]] = {}
        for group in groups:
            first = group.first_stage_scores or (0.0,) * len(group.doc_ids)
            asked.setdefault(group.query_id, {}).update(zip(group.doc_ids, first, strict=True))
        logger.info("the teacher scores %d documents", sum(map(len, asked.values())))
        judged = reranker.rerank(Run.from_scores("groups", asked), collection)
        scores = {query_id: dict(ranking) for query_id, ranking in judged.rankings.items()}
        return [
            replace(
                group,
                teacher_scores=tuple(scores[group.query_id][doc_id] for doc_id in group.doc_ids),
            )
            for group in groups
        ]

    return scored
