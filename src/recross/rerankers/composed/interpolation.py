"""First-stage and re-ranker scores together."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated

from recross.collections.collection import Collection
from recross.evaluation.measures import evaluate
from recross.parts.bounds import Ge, Gt, Le, checked
from recross.records import Qrels
from recross.rerankers.reranker import Reranker
from recross.runs import Run

WEIGHTS = tuple(step / 20 for step in range(21))


@dataclass(frozen=True)
@checked
class Interpolation:
    """``weight`` of the re-ranker's score plus the rest of the first stage's, each over its scale.

    One scale serves all queries, so that a query whose candidates hardly differ in one of the two
    scores is decided by the other.
    """

    weight: Annotated[float, Ge(0), Le(1)]
    first_scale: Annotated[float, Gt(0)] = 1.0
    second_scale: Annotated[float, Gt(0)] = 1.0

    def mix(self, candidates: Run, reranked: Run) -> Run:
        """Score the re-ranked documents anew; ``candidates`` holds their first-stage scores."""
        first_share = (1 - self.weight) / self.first_scale
        second_share = self.weight / self.second_scale
        scores: dict[str, dict[str, float]] = {}
        for query_id, ranking in reranked.rankings.items():
            first = dict(candidates.rankings[query_id])
            scores[query_id] = {d: second_share * s + first_share * first[d] for d, s in ranking}
        return Run.from_scores(f"{reranked.name}+first", scores, reranked.cost)


@dataclass(frozen=True)
@checked
class Interpolated(Reranker):
    """A re-ranker mixed at a given ``weight`` with the scores that its candidates came with.

    The scales are those of the run at hand (mean standard deviation within a query), so that the
    balance depends a little on which queries are re-ranked together. Not trainable: experiments
    leave the inner network as it is.
    """

    reranker: Reranker
    weight: Annotated[float, Ge(0), Le(1)] = 0.5
    alias: str | None = field(default=None, compare=False)

    @property
    def parts(self) -> tuple[Reranker, ...]:
        """The re-ranker whose scores are interpolated."""
        return (self.reranker,)

    def rerank(self, candidates: Run, collection: Collection) -> Run:
        """Order by a weighted sum of first-stage and re-ranker scores."""
        reranked = self.reranker.rerank(candidates, collection)
        scales = _scale(candidates), _scale(reranked)
        mixed = Interpolation(self.weight, *scales).mix(candidates, reranked)
        return replace(mixed, name=self.alias or mixed.name)


def tune_interpolation(
    reranker: Reranker, candidates: Run, collection: Collection, split: str, measure: str
) -> Interpolation:
    """Re-rank the candidates of a judged split, and choose the interpolation that is best there."""
    reranked = reranker.rerank(candidates, collection)
    return choose_interpolation(
        *(candidates, reranked, collection.judged(split), measure),
        relevant_from=collection.relevant_grade(split),
    )


def choose_interpolation(
    candidates: Run,
    reranked: Run,
    qrels: Qrels,
    measure: str = "MRR@10",
    weights: Sequence[float] = WEIGHTS,
    relevant_from: int = 1,
) -> Interpolation:
    """The best by ``measure`` on these development queries; of equal weights the smallest.

    The scales are the mean standard deviations of the scores within a query.
    """
    scales = _scale(candidates), _scale(reranked)

    def quality(weight: float) -> float:
        mixed = Interpolation(weight, *scales).mix(candidates, reranked)
        return evaluate(mixed, qrels, [measure], relevant_from).mean[measure]

    best = max(weights, key=lambda weight: (quality(weight), -weight))
    return Interpolation(best, *scales)


def _scale(run: Run) -> float:
    spreads = [
        statistics.pstdev(doc.score for doc in ranking)
        for ranking in run.rankings.values()
        if len(ranking) > 1
    ]
    return (statistics.fmean(spreads) if spreads else 0.0) or 1.0
