"""First-stage and re-ranker scores together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from recross.errors import InputError
from recross.evaluation.measures import evaluate
from recross.records import Qrels
from recross.runs import Run

WEIGHTS = tuple(step / 20 for step in range(21))


def interpolate(candidates: Run, reranked: Run, weight: float) -> Run:
    """``weight`` of the re-ranker plus the rest of the first stage, each on [0, 1] per query.

    Scores of both are scaled to [0, 1] within the query's candidates, since their scales have
    nothing in common.
    """
    if not 0 <= weight <= 1:
        raise InputError(f"weight must lie in [0, 1], got {weight}")
    scores: dict[str, Mapping[str, float]] = {}
    for query_id, ranking in reranked.rankings.items():
        first = _unit(dict(candidates.rankings[query_id]))
        second = _unit(dict(ranking))
        scores[query_id] = {d: weight * second[d] + (1 - weight) * first[d] for d in second}
    return Run.from_scores(f"{reranked.name}+first", scores, reranked.cost)


def choose_weight(
    candidates: Run,
    reranked: Run,
    qrels: Qrels,
    measure: str = "MRR@10",
    weights: Sequence[float] = WEIGHTS,
) -> float:
    """The weight with the best ``measure`` on these development queries; the smaller of equals."""

    def quality(weight: float) -> float:
        return evaluate(interpolate(candidates, reranked, weight), qrels, [measure]).mean[measure]

    return max(weights, key=lambda weight: (quality(weight), -weight))


def _unit(scores: Mapping[str, float]) -> dict[str, float]:
    if not scores:
        return {}
    low, high = min(scores.values()), max(scores.values())
    span = (high - low) or 1.0
    return {doc_id: (score - low) / span for doc_id, score in scores.items()}
