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
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from recross.evaluation.expectation import Tie, Tied, find_expectation
from recross.evaluation.measures import Evaluation, MeasureForm, evaluate, read_form
from recross.records import DocumentRelevance, Qrels, ScoredDoc
from recross.runs import Run

Worth = Callable[[int | None], float]
"""What a document of a grade, or of none, is worth to a measure."""

Ties = Sequence[Sequence[ScoredDoc]]
"""A ranking as runs of documents with one score."""

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
    rankings = {q: _split(run.rankings.get(q, ())) for q in qrels}
    tied = {q: ties for q, ties in rankings.items() if any(len(tie) > 1 for tie in ties)}
    per_query = {}
    mean: dict[str, TieRange | None] = {}
    for name, values in evaluation.per_query.items():
        form = read_form(name, relevant_from)
        worth = find_worth(form)
        mean[name] = None
        if worth is not None:
            seen = {q: _find_seen(ties, form) for q, ties in tied.items()}
            moved = {q: qrels[q] for q, ties in seen.items() if _is_moved(ties, qrels[q], worth)}
            bounds = [_evaluate(seen, moved, name, relevant_from, worth, sign) for sign in (1, -1)]
            per_query[name] = {
                q: _make_range(bounds[0][q], bounds[1][q], _expect(form, worth, seen[q], moved[q]))
                if q in moved
                else TieRange(*[values[q]] * 3)
                for q in tied
            }
            mean[name] = _average(values, per_query[name])
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


def _find_seen(ties: Ties, form: MeasureForm) -> Ties:
    """The ties that begin within the cut-off: nothing below them counts."""
    if form.cutoff is None or form.judged_only:  # which skips ranks
        return ties
    above = 0
    for number, tie in enumerate(ties):
        if above >= form.cutoff:
            return ties[:number]
        above += len(tie)
    return ties


def _is_moved(ties: Ties, judgments: DocumentRelevance, worth: Worth) -> bool:
    """Whether a tie holds documents of different worth: the order of others changes nothing."""
    return any(
        len({worth(judgments.get(doc.doc_id)) for doc in tie}) > 1 for tie in ties if len(tie) > 1
    )


def _evaluate(
    tied: Mapping[str, Ties], moved: Qrels, name: str, relevant_from: int, worth: Worth, sign: int
) -> Mapping[str, float]:
    """Values of the queries that ties move, each tie sorted by ascending ``sign * worth``."""
    if not moved:
        return {}
    rankings = {
        query_id: tuple(
            doc
            for tie in tied[query_id]
            for doc in sorted(tie, key=lambda doc: sign * worth(judgments.get(doc.doc_id)))
        )
        for query_id, judgments in moved.items()
    }
    return evaluate(Run("ties", rankings), moved, [name], relevant_from).per_query[name]


def _expect(
    form: MeasureForm, worth: Worth, ties: Ties, judgments: DocumentRelevance
) -> float | None:
    expectation = find_expectation(form)
    if expectation is None:
        return None
    worths = []
    above = 0
    for tie in ties:
        grades = [judgments.get(doc.doc_id) for doc in tie]
        kept = [grade for grade in grades if grade is not None or not form.judged_only]
        worths.append(Tie(above, [worth(grade) for grade in kept]))
        above += len(kept)
    ideal = sorted(map(worth, judgments.values()), reverse=True)
    return expectation(Tied(worths, ideal, form.cutoff))


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


def _split(ranking: Sequence[ScoredDoc]) -> Ties:
    return [list(tie) for _, tie in groupby(ranking, key=itemgetter(1))]  # of equal score
