"""Distillation: a teacher scores the documents of the groups that a student learns from."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

from recross.collections.collection import Collection
from recross.records import TrainingGroup
from recross.rerankers.reranker import Reranker
from recross.runs import Run

logger = logging.getLogger(__name__)


def score_groups(
    teacher: Reranker, groups: Sequence[TrainingGroup], collection: Collection
) -> list[TrainingGroup]:
    """Return the groups with the teacher's scores; a query's document is scored once.

    ``collection`` knows the texts of all groups.
    """
    listed: dict[str, dict[str, float]] = {}
    for group in groups:
        first = group.first_stage_scores or (0.0,) * len(group.doc_ids)
        listed.setdefault(group.query_id, {}).update(zip(group.doc_ids, first, strict=True))
    logger.info("the teacher scores %d documents", sum(map(len, listed.values())))
    judged = teacher.rerank(Run.from_scores("groups", listed), collection)
    scores = {query_id: dict(ranking) for query_id, ranking in judged.rankings.items()}
    return [
        replace(
            group,
            teacher_scores=tuple(scores[group.query_id][doc_id] for doc_id in group.doc_ids),
        )
        for group in groups
    ]
