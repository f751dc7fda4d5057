"""How long a user waits for the stages of an experiment, without kept scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from recross.collections.collection import Collection
from recross.evaluation.latency import Latency, measure_reranking, measure_search
from recross.inference.cache.score_cache import turn_caches_off
from recross.rerankers.reranker import Reranker
from recross.retrieval.retriever import Retriever
from recross.runs import Run

TIMED_DEPTH = 100
"""Candidates of each query that is timed, whatever the depth of the experiment."""


def time_stages(
    retriever: Retriever, reranker: Reranker, collection: Collection, query_ids: Sequence[str]
) -> tuple[Latency | None, Mapping[str, float]]:
    """Time the re-ranker, and the search before it in milliseconds, one query at a time.

    There is no latency of a re-ranker that leaves the candidates as they are.
    """
    if not query_ids:
        return None, {}

    def search(ids: Sequence[str]) -> Run:
        return retriever.retrieve(collection, ids, TIMED_DEPTH)

    first_stage_ms = measure_search(search, query_ids)
    if not reranker.reranks:
        return None, first_stage_ms
    with turn_caches_off():
        return measure_reranking(reranker.rerank, search(query_ids), collection), first_stage_ms
