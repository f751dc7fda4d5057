"""Who searches and who judges while negatives are mined: this process, or others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from recross.collections.collection import Collection
from recross.records import ScoredDoc
from recross.rerankers.reranker import Reranker
from recross.retrieval.retriever import FindBest, find_alone
from recross.runs import Run

Judge = Callable[[Reranker, Run, Collection], Run]
"""Re-ranks candidates, as a re-ranker does itself."""

QUERIES_JUDGED_AT_ONCE = 64
"""Queries whose candidates are judged together: alone or shared, batches are alike."""


def judge_alone(reranker: Reranker, candidates: Run, collection: Collection) -> Run:
    """The candidates in the re-ranker's order, found in this process; their cost is not counted."""
    query_ids = list(candidates.rankings)
    rankings: dict[str, Sequence[ScoredDoc]] = {}
    for first in range(0, len(query_ids), QUERIES_JUDGED_AT_ONCE):
        some = candidates.restrict(query_ids[first : first + QUERIES_JUDGED_AT_ONCE])
        rankings |= reranker.rerank(some, collection).rankings
    return Run(candidates.name, rankings)


@dataclass(frozen=True)
class Workers:
    """How the rankings are found that are mined from, and how re-rankers judge them."""

    search: FindBest = find_alone
    judge: Judge = judge_alone
