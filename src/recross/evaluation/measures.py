"""Measures of a run against judgments; the only home of ir_measures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import ir_measures

from recross.errors import InputError
from recross.records import Qrels
from recross.runs import Run, count_tied_queries


@dataclass(frozen=True)
class Evaluation:
    """Each measure per judged query and on average, under the names the user gave."""

    per_query: Mapping[str, Mapping[str, float]]

    @property
    def mean(self) -> dict[str, float]:
        """Measure -> mean over the judged queries."""
        return {name: sum(v.values()) / len(v) for name, v in self.per_query.items()}


@dataclass(frozen=True)
class MeasureForm:
    """What a measure's name says: ``nDCG@10`` is of the family ``nDCG`` and looks at 10 ranks.

    ``gains`` replace grades, those not named stay; ``is_exponential`` nDCG takes ``2^grade - 1``.
    """

    family: str
    cutoff: int | None
    relevant_from: int
    gains: Mapping[int, int]
    judged_only: bool
    is_exponential: bool


def read_form(name: str, relevant_from: int = 1) -> MeasureForm:
    """The form of a measure; ``relevant_from`` counts unless the measure says it itself."""
    measure = _parse(name, relevant_from)
    given = measure.params
    return MeasureForm(
        family=str(measure.NAME),
        cutoff=given.get("cutoff"),
        relevant_from=given.get("rel", 1),
        gains=given.get("gains", {}),
        judged_only=given.get("judged_only", False),
        is_exponential=given.get("dcg", "log2") != "log2",
    )


def check_measures(measures: Sequence[str]) -> None:
    """Refuse a name that ir_measures cannot parse, before any work starts."""
    for name in measures:
        try:
            ir_measures.parse_measure(name)
        except (ValueError, NameError, KeyError, SyntaxError) as error:
            raise InputError(
                f"measures must be names such as 'MRR@10' or 'nDCG@10', got {name!r} ({error})"
            ) from None


def evaluate(run: Run, qrels: Qrels, measures: Sequence[str], relevant_from: int = 1) -> Evaluation:
    """Evaluate over the queries of ``qrels``; a query missing from ``run`` scores 0.

    ``relevant_from`` is the smallest grade that binary measures count as relevant, unless a
    measure says it itself (``RR(rel=2)@10``).

    Raises:
        InputError: no query is judged, or a measure is unknown.
    """
    check_measures(measures)
    if not qrels:
        raise InputError("qrels must judge at least one query, got none")
    # Scores become ranks from below: ir_measures' providers break ties in opposite directions and
    # trec_eval compares in float32, so only a tie-free integer order means the same to all. They
    # are above zero, where Compat places what was not retrieved.
    order = {
        query_id: {doc.doc_id: float(len(ranking) - n) for n, doc in enumerate(ranking)}
        for query_id in qrels
        if (ranking := run.rankings.get(query_id))
    }
    judged = {query_id: dict(judgments) for query_id, judgments in qrels.items()}
    per_query = {name: dict.fromkeys(qrels, 0.0) for name in measures}
    for name, values in per_query.items():
        # One at a time: beside one with gains, or of judged documents only, nDCG and NumRet may be
        # computed with its settings.
        for metric in ir_measures.iter_calc([_parse(name, relevant_from)], judged, order):
            if metric.query_id in qrels:
                values[metric.query_id] = float(metric.value)
    return Evaluation(per_query)


def account(run: Run, qrels: Qrels, query_ids: Sequence[str], depth: int) -> dict[str, int]:
    """Say what became of every query asked: none is dropped silently."""
    return {
        "asked": len(query_ids),
        "scored": sum(bool(run.rankings.get(query_id)) for query_id in query_ids),
        "without_qrels": sum(query_id not in qrels for query_id in query_ids),
        "short": sum(len(run.rankings.get(query_id, ())) < depth for query_id in query_ids),
        "tied": count_tied_queries(run),
    }


def _parse(name: str, relevant_from: int) -> ir_measures.Measure:
    measure: ir_measures.Measure = ir_measures.parse_measure(name)
    if relevant_from > 1 and "rel" in measure.SUPPORTED_PARAMS and "rel" not in measure.params:
        measure = measure(rel=relevant_from)
    return measure
