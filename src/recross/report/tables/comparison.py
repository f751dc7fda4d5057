"""Several evaluated runs side by side, and whether their differences are more than chance."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

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
from recross.report.tables.alignment import align_table

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


def write_per_query(
    path: Path, evaluations: Mapping[str, Evaluation], measures: Iterable[str]
) -> None:
    """Write a CSV file: measure, query, and one column with the values of each run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["measure", "query_id", *evaluations])
        for measure in measures:
            columns = [evaluation.per_query[measure] for evaluation in evaluations.values()]
            for query_id in dict.fromkeys(itertools.chain.from_iterable(columns)):
                values = (column.get(query_id) for column in columns)
                writer.writerow([measure, query_id, *values])


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


def _make_line(comparison: Comparison) -> list[str]:
    low, high = comparison.interval
    outcomes = comparison.outcomes
    return [
        *(comparison.measure, comparison.run, comparison.against),
        f"{comparison.difference:+.4f} [{low:+.4f}, {high:+.4f}]",
        *(str(number) for number in (outcomes.wins, outcomes.ties, outcomes.losses)),
        *(f"{comparison.p_values[test]:.4f}" for test in TESTS),
    ]
