"""A re-ranker that has so many milliseconds for a query, and reads as many documents as fit."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Annotated

from recross.collections.collection import Collection
from recross.evaluation.latency import measure_reranking
from recross.inference.cache.score_cache import turn_caches_off
from recross.parts.bounds import Ge, Gt, checked
from recross.records import Cost
from recross.rerankers.reranker import Reranker
from recross.runs import Run

logger = logging.getLogger(__name__)

MEASUREMENTS = 8
"""Depths that are tried at most."""


@dataclass(frozen=True)
@checked
class WithinBudget(Reranker):
    """Re-ranks the best candidates of each query that fit in ``milliseconds``; others stay below.

    How many those are is measured on this machine before anything is scored: the most for which
    half of ``queries`` queries, each alone and without kept scores, are done in time. So a small
    network that reads deep can be compared with a large one that cannot (Petrov et al. 2024, on
    shallow cross-encoders). It is measured once; a machine's mood moves it a little from run to
    run. Not trainable: experiments leave the inner network as it is.
    """

    reranker: Reranker
    milliseconds: Annotated[float, Gt(0)]
    queries: Annotated[int, Ge(1)] = 10
    alias: str | None = field(default=None, compare=False)

    @property
    def name(self) -> str:
        """A short name for runs."""
        return self.alias or f"within{self.milliseconds:g}ms"

    @property
    def parts(self) -> tuple[Reranker, ...]:
        """The re-ranker that is given the time."""
        return (self.reranker,)

    @property
    def budget_ms(self) -> float:
        """The milliseconds that a query may take."""
        return self.milliseconds

    def rerank(self, candidates: Run, collection: Collection) -> Run:
        """Order as many of each query's candidates as fit, and leave the others below them."""
        depth = self._find_depth(candidates, collection)
        if not depth:
            return replace(candidates, name=self.name, cost=Cost())
        head = self.reranker.rerank(candidates.cut(depth), collection)
        return replace(
            replace(head, cost=Cost()).with_tail(candidates), name=self.name, cost=head.cost
        )

    def _find_depth(self, candidates: Run, collection: Collection) -> int:
        """How many candidates fit, measured with the first queries that are re-ranked."""
        if "depth" not in self._measured:
            asked = [query_id for query_id, ranking in candidates.rankings.items() if ranking]
            sample = candidates.restrict(asked[: self.queries])
            deepest = max((len(ranking) for ranking in sample.rankings.values()), default=0)

            def measure(depth: int) -> float:
                cut = sample.cut(depth)
                latency = measure_reranking(self.reranker.rerank, cut, collection)
                return latency.p50 * depth / 100

            with turn_caches_off():
                self._measured["depth"] = find_affordable(self.milliseconds, deepest, measure)
            logger.info(
                "%d of %d candidates fit in %g ms",
                self._measured["depth"],
                deepest,
                self.milliseconds,
            )
        return self._measured["depth"]

    @cached_property
    def _measured(self) -> dict[str, int]:
        return {}


def find_affordable(budget: float, most: int, measure: Callable[[int], float]) -> int:
    """Find the largest number, up to ``most``, that ``measure`` says costs no more than ``budget``.

    Costs grow with the number. A number is tried where a straight line through zero and the last
    cost meets the budget, until the answer is known to a twentieth; what is returned was affordable
    when it was measured, and is 0 where not even one is.
    """
    affordable, too_many = 0, most + 1
    number = most
    for _ in range(MEASUREMENTS):
        if too_many - affordable <= max(1, affordable // 20):
            break
        cost = measure(number)
        if cost <= budget:
            affordable = number
        else:
            too_many = number
        guess = int(number * budget / cost) if cost > 0 else most
        number = min(max(guess, affordable + 1), too_many - 1)
    return affordable
