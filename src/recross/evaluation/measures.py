"""Measures of a run against judgments; the only home of ir_measures."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from numbers import Integral
from typing import Any, TypeVar
from urllib.parse import quote

import ir_measures

from recross.errors import InputError
from recross.parts.closest import suggest
from recross.records import Qrels
from recross.runs import Run
from recross.text_files.values import GREATEST_GRADE, LEAST_GRADE

GREATEST_CUTOFF = 10_000_000
"""Of a measure's ranks."""

_TREC_EVAL = frozenset(
    (
        *("map", "ndcg", "recip_rank", "bpref", "num_q", "num_ret", "num_rel", "num_rel_ret"),
        *("set_P", "set_recall", "set_F", "set_map"),
        *("ndcg_cut", "map_cut", "recall", "success", "iprec_at_recall"),
    )
)
_TREC_EVAL_AT = re.compile(r"(ndcg_cut|map_cut|P|recall|success|iprec_at_recall)[_.]\d+(\.\d+)?")

QUOTED = re.compile(r"[\s%/]")
"""What gdeval's script would split an id at, and what stands for such characters."""
NO_DOCUMENT = "/"
"""Judged 0 where a query has no judgment of 0 or more, which ends the process likewise; it is in no
run, and nothing is relevant there: every measure is 0 with it and without."""


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


class MeasureNames:
    """A bound of lists: names that ir_measures reads and an installed package computes, each once.

    It is one of ``recross.parts.hints.ValueRule``.
    """

    def find_problems(self, value: Sequence[str]) -> Iterator[str]:
        """Each name that is none, and why; each that stands there twice."""
        for name in dict.fromkeys(value):
            if (reason := _find_reason_against(name)) is not None:
                meant = suggest(re.split("[(@]", name)[0], ir_measures.measures.registry)
                said = f"must be names such as 'MRR@10' or 'nDCG@10', got {name!r} ({reason})"
                yield f"{said}{meant}"
            if value.count(name) > 1:
                yield f"must name each measure once, got {name!r} twice"


def check_measures(measures: Sequence[str], argument: str = "measures") -> None:
    """Refuse what ir_measures cannot read, and what no installed package computes, before any work.

    Raises:
        InputError: naming the measure and why; or one is named twice.
    """
    for problem in MeasureNames().find_problems(measures):
        raise InputError(f"{argument} {problem}")


@cache
def _find_reason_against(name: str) -> str | None:
    """Why a measure cannot be computed: asked of its parameters first, then of a tiny evaluation.

    trec_eval's code in C ends the process where a number of ranks is none.
    """
    try:
        measure = _read_name(name)
        params = {key: given.default for key, given in measure.SUPPORTED_PARAMS.items()}
        for key, value in (params | measure.params).items():
            if (rule := _find_broken_rule(key, value)) is not None:
                return f"{key} must {rule}, got {value!r}"
        providers = [p for p in ir_measures.DefaultPipeline.providers if p.is_available()]
        if not any(provider.supports(measure) for provider in providers):
            return "no installed package computes it"
        list(ir_measures.iter_calc([measure], {"1": {"a": 1, "b": 0}}, {"1": {"a": 2.0, "b": 1.0}}))
    except Exception as error:  # noqa: BLE001  (parsers and providers fail in any way)
        return str(error) or type(error).__name__
    return None


def _read_name(name: str) -> ir_measures.Measure:
    """The measure of a name, ir_measures' own or trec_eval's, such as ``ndcg_cut_10``."""
    if name not in _TREC_EVAL and not _TREC_EVAL_AT.fullmatch(name):
        return ir_measures.parse_measure(name)
    found = ir_measures.parse_trec_measure(name)
    if len(found) > 1:
        raise ValueError(f"trec_eval's name of {len(found)} measures; one is {name}_10")
    return found[0]


def _find_broken_rule(parameter: str, value: Any) -> str | None:
    """What a parameter of a measure must be, where a value is not."""
    match parameter, value:
        case (("cutoff" | "rel"), int()) if not 1 <= value <= GREATEST_CUTOFF:
            return f"lie in [1, {GREATEST_CUTOFF}]"
        case (("cutoff" | "rel"), bool() | float() | str()):
            return "be a whole number"
        case "p", int() | float() if not 0 < value < 1:
            return "lie in (0, 1)"
        case "gains", dict() if any(not 0 <= gain <= GREATEST_GRADE for gain in value.values()):
            return f"lie in [0, {GREATEST_GRADE}]"
    return None


def evaluate(run: Run, qrels: Qrels, measures: Sequence[str], relevant_from: int = 1) -> Evaluation:
    """Evaluate over the queries of ``qrels``; a query missing from ``run`` scores 0.

    This is trec_eval's average with ``-c``; so does a query without relevant documents score 0.
    Grades below zero are not relevant and gain nothing, and relevant documents that nothing can
    find stay in the ideal. Queries of the run that are not judged are left out.

    ``relevant_from`` is the smallest grade that binary measures count as relevant, unless a
    measure says it itself (``RR(rel=2)@10``).

    Raises:
        InputError: no query is judged or none that the run ranks, a grade is out of bounds, or a
            measure is unknown.
    """
    check_measures(measures)
    judged = _check_judgments(qrels)
    if run.rankings and not any(query_id in qrels for query_id in run.rankings):
        raise InputError(
            f"qrels must judge queries of the run {run.name!r} (such as"
            f" {next(iter(run.rankings))!r}), got judgments of {len(qrels)} others (such as"
            f" {next(iter(qrels))!r})"
        )
    # Scores become ranks from below: ir_measures' providers break ties in opposite directions and
    # trec_eval compares in float32, so only a tie-free integer order means the same to all. They
    # are above zero, where Compat places what was not retrieved.
    order = {
        query_id: {doc.doc_id: float(len(ranking) - n) for n, doc in enumerate(ranking)}
        for query_id in qrels
        if (ranking := run.rankings.get(query_id))
    }
    queries = dict(zip(map(str, range(1, len(qrels) + 1)), qrels, strict=True))
    judged, order = _rename(judged, queries), _rename(order, queries)
    per_query = {name: dict.fromkeys(qrels, 0.0) for name in measures}
    for name, values in per_query.items():
        # One at a time: beside one with gains, or of judged documents only, nDCG and NumRet may be
        # computed with its settings.
        counted = _make_countable(judged, read_form(name, relevant_from).gains)
        for metric in ir_measures.iter_calc([_parse(name, relevant_from)], counted, order):
            if metric.query_id in queries:
                values[queries[metric.query_id]] = float(metric.value)
    return Evaluation(per_query)


_Value = TypeVar("_Value")


def _rename(
    values: Mapping[str, Mapping[str, _Value]], queries: Mapping[str, str]
) -> dict[str, dict[str, _Value]]:
    """Queries by number, documents without blanks, as gdeval's script needs both."""
    return {
        number: {_quote(doc_id): value for doc_id, value in values[query_id].items()}
        for number, query_id in queries.items()
        if query_id in values
    }


def _quote(doc_id: str) -> str:
    return quote(doc_id, safe="", errors="surrogatepass") if QUOTED.search(doc_id) else doc_id


def _check_judgments(qrels: Qrels) -> dict[str, dict[str, int]]:
    """The judgments, whose grades are whole numbers that trec_eval can count."""
    if not qrels:
        raise InputError("qrels must judge at least one query, got none")
    for query_id, judgments in qrels.items():
        for doc_id, grade in judgments.items():
            whole = isinstance(grade, Integral)
            if not whole or not LEAST_GRADE <= grade <= GREATEST_GRADE:
                raise InputError(
                    f"grades must be whole numbers in [{LEAST_GRADE}, {GREATEST_GRADE}], got"
                    f" {grade!r} for query {query_id!r}, document {doc_id!r}"
                )
    return {q: {d: int(grade) for d, grade in docs.items()} for q, docs in qrels.items()}


def _make_countable(
    judged: Mapping[str, Mapping[str, int]], gains: Mapping[int, int]
) -> dict[str, dict[str, int]]:
    """Judgments, at least one of each query not negative."""
    return {
        query_id: {**grades, NO_DOCUMENT: 0}
        if all(gains.get(grade, grade) < 0 for grade in grades.values())
        else dict(grades)
        for query_id, grades in judged.items()
    }


def _parse(name: str, relevant_from: int) -> ir_measures.Measure:
    measure = _read_name(name)
    if relevant_from > 1 and "rel" in measure.SUPPORTED_PARAMS and "rel" not in measure.params:
        measure = measure(rel=relevant_from)
    return measure
