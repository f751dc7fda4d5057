"""Several evaluated runs side by side, and whether their differences are more than chance."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from recross.evaluation.accounts import QueryAccount
from recross.evaluation.measures import Evaluation
from recross.evaluation.significance import (
    TESTS,
    Outcomes,
    Test,
    adjust_p_values,
    bootstrap_interval,
    compute_p_value,
    count_outcomes,
    pair_differences,
)
from recross.evaluation.ties import TieRange, TieRanges
from recross.writing.alignment import MISSING, align_table
from recross.writing.escaping import format_csv_line
from recross.writing.numbers import format_p_value
from recross.writing.whole_files import replace_file

Pair = tuple[str, str]
_NOTE = (
    "Brackets: 95 % bootstrap intervals over queries. p: paired, two-sided, Holm-corrected over"
    " the comparisons of a measure."
)


@dataclass(frozen=True)
class Comparison:
    """One run against another in one measure.

    ``difference`` is the mean over queries of ``run`` minus ``against``, ``interval`` its 95 %
    bootstrap interval; ``p_values`` are adjusted for the number of comparisons in this measure.
    """

    measure: str
    run: str
    against: str
    difference: float
    interval: tuple[float, float]
    outcomes: Outcomes
    p_values: Mapping[Test, float]


def list_pairs(names: Sequence[str], all_pairs: bool = False) -> list[Pair]:
    """Each run with the first one; or each with every one before it."""
    if all_pairs:
        return [(later, earlier) for earlier, later in itertools.combinations(names, 2)]
    return [(name, names[0]) for name in names[1:]]


def compare(
    evaluations: Mapping[str, Evaluation], measures: Sequence[str], pairs: Sequence[Pair]
) -> list[Comparison]:
    """Compare the runs of every pair in every measure, over the queries both have."""
    comparisons = []
    for measure in measures:
        raw = [_compare(evaluations, measure, pair) for pair in pairs]
        corrected = {
            test: adjust_p_values([comparison.p_values[test] for comparison in raw])
            for test in TESTS
        }
        comparisons += [
            replace(comparison, p_values={test: corrected[test][number] for test in TESTS})
            for number, comparison in enumerate(raw)
        ]
    return comparisons


def format_comparison(
    evaluations: Mapping[str, Evaluation], measures: Sequence[str], pairs: Sequence[Pair]
) -> str:
    """Means of all runs, and the comparisons of the pairs, as Markdown tables."""
    means = [
        [name, *(_format_mean(evaluation, measure) for measure in measures)]
        for name, evaluation in evaluations.items()
    ]
    lines = align_table(["run", *measures], means)
    if pairs:
        header = ["measure", "run", "against", "difference", "wins", "ties", "losses"]
        header += [f"p ({test})" for test in TESTS]
        compared = [_make_line(comparison) for comparison in compare(evaluations, measures, pairs)]
        lines += ["", *align_table(header, compared, words=3)]
    return "\n".join([*lines, "", _NOTE]) + "\n"


def format_ties(ties: Mapping[str, TieRanges], measures: Sequence[str]) -> str:
    """How many queries have tied documents, and what their order could make of each measure."""
    if not any(ranges.queries for ranges in ties.values()):
        return "Tied queries: none.\n"
    lines = [
        [measure, name, str(ranges.queries), *_format_range(ranges.mean[measure])]
        for measure in measures
        for name, ranges in ties.items()
        if ranges.queries
    ]
    header = ["measure", "run", "tied queries", *TieRange._fields]
    note = (
        "Least and greatest mean over the orders that tied scores allow, and the mean to be"
        " expected where all are equally likely. Runs that are not listed tie no documents."
    )
    return "\n".join([*align_table(header, lines, words=2), "", note]) + "\n"


def format_accounts(accounts: Mapping[str, QueryAccount]) -> str:
    """What became of the queries of each run and of the judgments, where that is not plain."""
    if not any(any(of.oddities) for of in accounts.values()):
        judged = max((of.judged for of in accounts.values()), default=0)
        return f"Judged queries: {judged}, all in every run, each with a relevant document.\n"
    header = ["run", "judged queries", "not in the run", "no relevant document"]
    lines = [
        [name, *map(str, (of.judged, len(of.missing), len(of.without_relevant), len(of.unjudged)))]
        for name, of in accounts.items()
    ]
    note = (
        "Means are over all judged queries, as trec_eval's with -c: those that are not in the run,"
        " or have no relevant document, score 0. Queries without judgments are left out."
    )
    return "\n".join([*align_table([*header, "run's without judgments"], lines), "", note]) + "\n"


def write_per_query(
    path: Path,
    evaluations: Mapping[str, Evaluation],
    measures: Iterable[str],
    ties: Mapping[str, TieRanges],
    accounts: Mapping[str, QueryAccount] = MappingProxyType({}),
) -> None:
    """Write a CSV file: measure, query, and each run's values.

    A run that ties documents has three columns more: the least, greatest and expected value of the
    queries with ties. One that lacks judged queries has one that says of which it ranks documents.
    """
    with replace_file(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        tied = {name: ranges for name, ranges in ties.items() if ranges.queries}
        more = [f"{name} {field}" for name in tied for field in TieRange._fields]
        lacking = {name: frozenset(of.missing) for name, of in accounts.items() if of.missing}
        more += [f"{name} is ranked" for name in lacking]
        file.write(format_csv_line(["measure", "query_id", *evaluations, *more]))
        for measure in measures:
            columns = [evaluation.per_query[measure] for evaluation in evaluations.values()]
            for query_id in dict.fromkeys(itertools.chain.from_iterable(columns)):
                values = (column.get(query_id) for column in columns)
                ranges = _list_ranges(tied, measure, query_id)
                is_ranked = (int(query_id not in missing) for missing in lacking.values())
                file.write(format_csv_line([measure, query_id, *values, *ranges, *is_ranked]))


def _compare(evaluations: Mapping[str, Evaluation], measure: str, pair: Pair) -> Comparison:
    run, against = (evaluations[name].per_query[measure] for name in pair)
    differences = pair_differences(run, against)
    return Comparison(
        measure,
        *pair,
        difference=float(differences.mean()),
        interval=bootstrap_interval(differences.tolist()),
        outcomes=count_outcomes(differences),
        p_values={test: compute_p_value(run, against, test) for test in TESTS},
    )


def _format_mean(evaluation: Evaluation, measure: str) -> str:
    low, high = bootstrap_interval(list(evaluation.per_query[measure].values()))
    return f"{evaluation.mean[measure]:.4f} [{low:.4f}, {high:.4f}]"


def _format_range(value: TieRange | None) -> list[str]:
    means = value or (None,) * len(TieRange._fields)
    return [MISSING if mean is None else f"{mean:.4f}" for mean in means]


def _list_ranges(
    ties: Mapping[str, TieRanges], measure: str, query_id: str
) -> Iterator[float | None]:
    for ranges in ties.values():
        of_query = ranges.per_query.get(measure, {}).get(query_id)
        yield from of_query or (None,) * len(TieRange._fields)


def _make_line(comparison: Comparison) -> list[str]:
    low, high = comparison.interval
    outcomes = comparison.outcomes
    return [
        *(comparison.measure, comparison.run, comparison.against),
        f"{comparison.difference:+.4f} [{low:+.4f}, {high:+.4f}]",
        *(str(number) for number in (outcomes.wins, outcomes.ties, outcomes.losses)),
        *(format_p_value(comparison.p_values[test]) for test in TESTS),
    ]
