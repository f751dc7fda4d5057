"""What ties leave open: the least, the greatest and the expected value of every measure.

Documents that share a score may stand in any order. Where a measure never falls when a document
changes places with a worse one just above it, it is greatest with every tie sorted by worth, best
first, and least with every tie sorted the other way round: any order becomes one of these by such
changes. All families of ``BINARY`` and ``GRADED``, nDCG and Judged are of this kind; to those of
``UNORDERED`` order is nothing. Two that are
evaluated are not, and nothing is said of them: ``infAP`` may fall when a relevant document rises
where some are judged -1, ``Accuracy@k`` when one more enters the cut-off.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from typing import NamedTuple

from recross.evaluation.expectation import Tie, Tied, find_expectation
from recross.evaluation.measures import Evaluation, MeasureForm, evaluate, read_form
from recross.records import DocumentRelevance, Qrels, ScoredDoc
from recross.runs import Run

Worth = Callable[[int | None], float]
"""What a document of a grade, or of none, is worth to a measure."""

BINARY = frozenset(("P", "R", "Success", "RR", "AP", "Rprec", "IPrec", "Bpref", "Accuracy"))
GRADED = frozenset(("ERR", "RBP", "Compat"))
UNORDERED = frozenset(("SetP", "SetR", "SetF", "SetAP", "NumRet", "NumRel", "NumQ"))


class TieRange(NamedTuple):
    """A measure over the orders that ties allow; ``expected`` if all are equally likely.

    ``expected`` is ``None`` where no closed form of it is known here.
    """

    least: float
    greatest: float
    expected: float | None


@dataclass(frozen=True)
class TieRanges:
    """The range of each measure; ``None`` for one of which nothing is said.

    ``per_query`` holds those of the ``queries`` judged queries that have tied documents, ``mean``
    is over all judged queries.
    """

    queries: int
    per_query: Mapping[str, Mapping[str, TieRange]]
    mean: Mapping[str, TieRange | None]


def find_tie_ranges(
    run: Run, qrels: Qrels, evaluation: Evaluation, relevant_from: int = 1
) -> TieRanges:
    """The ranges of an evaluation of ``run``: exact, nothing is sampled.

    Ties are those of the run's scores, in single precision; one that reaches over a cut-off counts.
    ``qrels`` and ``relevant_from`` are those of the evaluation.
    """
    tied = {
        query_id: judgments
        for query_id, judgments in qrels.items()
        if any(len(tie) > 1 for tie in _split(run.rankings.get(query_id, ())))
    }
    per_query = {}
    mean: dict[str, TieRange | None] = {}
    for name, values in evaluation.per_query.items():
        form = read_form(name, relevant_from)
        worth = find_worth(form)
        mean[name] = None
        if worth is not None:
            bounds = [_evaluate(run, tied, name, relevant_from, worth, sign) for sign in (1, -1)]
            expected = {q: _expect(form, worth, run.rankings[q], tied[q]) for q in tied}
            ranges = {q: _make_range(bounds[0][q], bounds[1][q], expected[q]) for q in tied}
            per_query[name], mean[name] = ranges, _average(values, ranges)
    return TieRanges(len(tied), per_query, mean)


def find_worth(form: MeasureForm) -> Worth | None:
    """By what a tie is sorted for the best and the worst order; ``None`` where nothing does."""
    if form.family == "nDCG":
        return partial(_take_gain, form.gains)
    if form.family == "Judged":
        return _is_judged
    if form.family in GRADED | UNORDERED:
        return _take_grade
    if form.family not in BINARY or (form.family == "Accuracy" and form.cutoff is not None):
        return None
    return partial(_is_relevant, form.relevant_from)


def _take_gain(gains: Mapping[int, int], grade: int | None) -> float:
    return max(0, 0 if grade is None else gains.get(grade, grade))  # as trec_eval, never below zero


def _is_judged(grade: int | None) -> float:
    return grade is not None


def _take_grade(grade: int | None) -> float:
    return max(0, grade or 0)


def _is_relevant(relevant_from: int, grade: int | None) -> float:
    return grade is not None and grade >= relevant_from


def _evaluate(
    run: Run, tied: Qrels, name: str, relevant_from: int, worth: Worth, sign: int
) -> Mapping[str, float]:
    """Values of the tied queries where each tie is sorted by ascending ``sign * worth``."""
    if not tied:
        return {}
    rankings = {
        query_id: tuple(
            doc
            for tie in _split(run.rankings[query_id])
            for doc in sorted(tie, key=lambda doc: sign * worth(judgments.get(doc.doc_id)))
        )
        for query_id, judgments in tied.items()
    }
    return evaluate(replace(run, rankings=rankings), tied, [name], relevant_from).per_query[name]


def _expect(
    form: MeasureForm, worth: Worth, ranking: Sequence[ScoredDoc], judgments: DocumentRelevance
) -> float | None:
    expectation = find_expectation(form)
    if expectation is None:
        return None
    ties = []
    above = 0
    for tie in _split(ranking):
        grades = [judgments.get(doc.doc_id) for doc in tie]
        kept = [grade for grade in grades if grade is not None or not form.judged_only]
        ties.append(Tie(above, [worth(grade) for grade in kept]))
        above += len(kept)
    ideal = sorted(map(worth, judgments.values()), reverse=True)
    return expectation(Tied(ties, ideal, form.cutoff))


def _make_range(least: float, greatest: float, expected: float | None) -> TieRange:
    if least == greatest:
        return TieRange(least, greatest, least)
    if expected is not None:  # rounding may carry it over a bound
        expected = min(max(expected, least), greatest)
    return TieRange(least, greatest, expected)


def _average(values: Mapping[str, float], ranges: Mapping[str, TieRange]) -> TieRange:
    whole = [ranges.get(query_id, TieRange(v, v, v)) for query_id, v in values.items()]
    expected = [value.expected for value in whole if value.expected is not None]
    return TieRange(
        sum(value.least for value in whole) / len(whole),
        sum(value.greatest for value in whole) / len(whole),
        sum(expected) / len(whole) if len(expected) == len(whole) else None,
    )


def _split(ranking: Sequence[ScoredDoc]) -> list[list[ScoredDoc]]:
    return [list(tie) for _, tie in groupby(ranking, key=lambda doc: doc.score)]
