"""What a re-ranking alone gained, where its queries are judged."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence

from recross.collections.collection import Collection
from recross.evaluation.accounts import QueryAccount
from recross.evaluation.measures import evaluate
from recross.evaluation.significance import (
    bootstrap_interval,
    compute_p_value,
    pair_differences,
)
from recross.records import JsonObject, Qrels
from recross.runs import Run
from recross.writing.numbers import relate_p_value

logger = logging.getLogger(__name__)


def measure_gains(
    before: Run, after: Run, collection: Collection, measures: Sequence[str]
) -> dict[str, JsonObject]:
    """By split of which the runs rank judged queries: every measure before and after.

    Means are over all judged queries of a split, as those of ``recross evaluate``.
    """
    gains: dict[str, JsonObject] = {}
    for split, query_ids in collection.split_queries.items():
        qrels = collection.split_qrels.get(split, {})
        judged = {query_id: qrels[query_id] for query_id in query_ids if query_id in qrels}
        if any(before.rankings.get(query_id) for query_id in judged):
            grade = collection.relevant_grade(split)
            asked = before.restrict(judged)
            _say_missing(split, QueryAccount.of(asked, judged, grade))
            of_measures = _compare(asked, after.restrict(judged), judged, measures, grade)
            gains[split] = {"judged": len(judged), "measures": of_measures}
    return gains


def format_gains(gains: Mapping[str, JsonObject]) -> Iterator[str]:
    """A line for each measure of each split."""
    for split, gain in gains.items():
        for name, found in gain["measures"].items():
            low, high = found["interval"]
            yield (
                f"{split}, {gain['judged']} judged queries: {name} {found['after']:.4f}, before"
                f" {found['before']:.4f}: {found['difference']:+.4f} [{low:+.4f}, {high:+.4f}],"
                f" p {relate_p_value(found['p_value'])}"
            )


def _say_missing(split: str, account: QueryAccount) -> None:
    if account.missing:
        logger.warning(
            "%d of %d judged queries of %r have no candidates and score 0, such as %r",
            *(len(account.missing), account.judged, split, account.missing[0]),
        )


def _compare(
    before: Run, after: Run, judged: Qrels, measures: Sequence[str], relevant_from: int
) -> JsonObject:
    first, second = (
        evaluate(run, judged, measures, relevant_from).per_query for run in (before, after)
    )
    compared = {}
    for name in measures:
        differences = pair_differences(second[name], first[name])
        compared[name] = {
            "before": sum(first[name].values()) / len(judged),
            "after": sum(second[name].values()) / len(judged),
            "difference": float(differences.mean()),
            "interval": bootstrap_interval(differences.tolist()),
            "p_value": compute_p_value(second[name], first[name]),
        }
    return compared
