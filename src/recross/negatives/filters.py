"""Filters against false negatives: which candidates score too high to be called non-relevant."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Protocol, runtime_checkable

from recross.collections.collection import Collection
from recross.errors import InputError
from recross.negatives.workers import Judge
from recross.parts.bounds import Ge, Gt, Le, checked
from recross.rerankers.reranker import Reranker
from recross.runs import Run


@runtime_checkable
class Filter(Protocol):
    """A judge of candidates, and the score above which it drops them."""

    def judge(
        self,
        candidates: Run,
        positives: Mapping[str, Sequence[str]],
        collection: Collection,
        ask: Judge,
    ) -> Run:
        """Score candidates and positives.

        ``candidates`` are the source's, with those ``positives`` that the source ranked among
        them. A positive that gets no score gives no bound. Re-rankers are to be asked by ``ask``,
        which lets them work in whatever process.
        """

    def find_highest(self, positive_score: float | None) -> float:
        """The highest score that a negative may have beside a positive of this score."""


@dataclass(frozen=True)
@checked
class Margin:
    """Drops what the source scores close to the positive, or above it.

    A negative's score may be at most the positive's minus ``absolute``, and at most the share
    ``relative`` of it (TopK-MarginPos and TopK-PercPos of NV-Retriever, Moreira et al. 2024, who
    keep 95 %). Below a positive with a negative score the bound lies as far as it would below its
    absolute value. A positive that the source did not rank gives no bound.
    """

    absolute: Annotated[float, Ge(0)] | None = None
    relative: Annotated[float, Gt(0), Le(1)] | None = 0.95

    def __post_init__(self) -> None:
        if self.absolute is None and self.relative is None:
            raise InputError("absolute or relative must be given, got neither")

    def judge(
        self,
        candidates: Run,
        positives: Mapping[str, Sequence[str]],
        collection: Collection,
        ask: Judge,
    ) -> Run:
        """Return the candidates as they are: the source's scores decide."""
        return candidates

    def find_highest(self, positive_score: float | None) -> float:
        """Return the lower of the absolute and the relative bound."""
        if positive_score is None:
            return math.inf
        distance = self.absolute or 0.0
        if self.relative is not None:
            distance = max(distance, (1 - self.relative) * abs(positive_score))
        return positive_score - distance


@dataclass(frozen=True)
@checked
class Denoising:
    """Drops what a teacher takes for relevant (RocketQA's denoising, Qu et al. 2021).

    The teacher, any re-ranker, scores candidates and positives. Dropped is what it scores above
    ``threshold``, in its own units, or above the positive's score minus ``margin``.
    """

    reranker: Reranker
    threshold: float | None = None
    margin: Annotated[float, Ge(0)] | None = 0.0

    def __post_init__(self) -> None:
        if self.threshold is None and self.margin is None:
            raise InputError("threshold or margin must be given, got neither")

    def judge(
        self,
        candidates: Run,
        positives: Mapping[str, Sequence[str]],
        collection: Collection,
        ask: Judge,
    ) -> Run:
        """The teacher's scores, also of positives that the source did not rank."""
        with_positives = {}
        for query_id, ranking in candidates.rankings.items():
            known = dict(ranking)
            lowest = min(known.values(), default=0.0)
            with_positives[query_id] = {**dict.fromkeys(positives[query_id], lowest), **known}
        asked = Run.from_scores(candidates.name, with_positives)
        return ask(self.reranker, asked, collection)

    def find_highest(self, positive_score: float | None) -> float:
        """Return the lower of the absolute and the relative bound."""
        bound = math.inf if self.threshold is None else self.threshold
        if self.margin is None or positive_score is None:
            return bound
        return min(bound, positive_score - self.margin)
