"""Latency of a stage: one query at a time, warm, as a user waits for it."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from recross.collections.collection import Collection
from recross.errors import InputError
from recross.records import Cost
from recross.runs import Run

Rerank = Callable[[Run, Collection], Run]
"""Re-ranks a run; what it says of its own cost is kept apart."""


@dataclass(frozen=True)
class Latency:
    """Milliseconds, scaled to 100 documents; ``tokenize`` and ``forward`` are medians."""

    p50: float
    p95: float
    tokenize: float
    forward: float
    pairs_per_second: float
    tokens_per_second: float
    queries: int


def time_queries(
    stage: Rerank, candidates: Run, collection: Collection, warmup: int = 2
) -> list[float]:
    """Seconds that ``stage`` takes for each query alone, after ``warmup`` uncounted ones."""
    singles = [candidates.restrict([query_id]) for query_id in candidates.rankings]
    for single in singles[:warmup]:
        stage(single, collection)
    return [_time(stage, single, collection)[0] for single in singles]


def measure_reranking(
    stage: Rerank, candidates: Run, collection: Collection, warmup: int = 2
) -> Latency:
    """Time ``stage`` on each query of ``candidates`` alone, after ``warmup`` uncounted ones."""
    query_ids = [query_id for query_id, ranking in candidates.rankings.items() if ranking]
    if not query_ids:
        raise InputError("latency needs at least one query with candidates, got none")
    singles = [candidates.restrict([query_id]) for query_id in query_ids]
    for single in singles[:warmup]:
        stage(single, collection)
    timed = [_time(stage, single, collection) for single in singles]
    per_hundred = np.array([100 / len(single.rankings[q]) for q, single in _name_singles(singles)])
    totals = np.array([seconds for seconds, _ in timed])
    costs = [cost for _, cost in timed]
    pairs = sum(len(single.rankings[q]) for q, single in _name_singles(singles))
    return Latency(
        *_compute_percentiles(totals * per_hundred),
        _compute_median(np.array([cost.tokenize_seconds for cost in costs]) * per_hundred),
        _compute_median(np.array([cost.forward_seconds for cost in costs]) * per_hundred),
        pairs_per_second=pairs / totals.sum(),
        tokens_per_second=sum(cost.tokens for cost in costs) / totals.sum(),
        queries=len(query_ids),
    )


def measure_search(
    search: Callable[[Sequence[str]], Run], query_ids: Sequence[str], warmup: int = 2
) -> dict[str, float]:
    """Milliseconds for one query's search, p50 and p95, after ``warmup`` queries not counted."""
    for query_id in query_ids[:warmup]:
        search([query_id])
    seconds = []
    for query_id in query_ids:
        start = time.perf_counter()
        search([query_id])
        seconds.append(time.perf_counter() - start)
    p50, p95 = _compute_percentiles(np.array(seconds))
    return {"p50": p50, "p95": p95}


def measure_peak_memory_mb() -> float:
    """Largest resident size of this process so far, in MB."""
    unit = 1024**2 if sys.platform == "darwin" else 1024  # getrusage: bytes there, KiB on Linux
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def _time(stage: Rerank, single: Run, collection: Collection) -> tuple[float, Cost]:
    start = time.perf_counter()
    cost = stage(single, collection).cost
    return time.perf_counter() - start, cost


def _name_singles(singles: Sequence[Run]) -> list[tuple[str, Run]]:
    return [(next(iter(single.rankings)), single) for single in singles]


def _compute_percentiles(seconds: np.ndarray) -> tuple[float, float]:
    p50, p95 = np.percentile(seconds * 1000, [50, 95])
    return float(p50), float(p95)


def _compute_median(seconds: np.ndarray) -> float:
    return float(np.median(seconds) * 1000)
