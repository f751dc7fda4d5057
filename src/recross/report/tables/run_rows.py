"""Evaluated run files as rows of a table, each compared with the first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from recross.evaluation.measures import Evaluation
from recross.evaluation.significance import (
    bootstrap_interval,
    compute_p_value,
    pair_differences,
)
from recross.evaluation.ties import TieRanges
from recross.report.tables.rows import Row, correct_p_values
from recross.report.tables.values import Value


def make_run_rows(
    evaluations: Mapping[str, Evaluation],
    ties: Mapping[str, TieRanges],
    study: str = "",
    collection: str = "",
) -> list[Row]:
    """A row for each run, in this order; p-values are corrected over the runs of a measure."""
    return correct_p_values(list(_make_rows(evaluations, ties, study, collection)))


def _make_rows(
    evaluations: Mapping[str, Evaluation],
    ties: Mapping[str, TieRanges],
    study: str,
    collection: str,
) -> Iterator[Row]:
    first, *_ = evaluations
    baseline = evaluations[first].per_query
    for name, evaluation in evaluations.items():
        compared: Sequence[str] = [] if name == first else [*evaluation.per_query]
        yield Row(
            label=name,
            seeds=1,
            measures={
                measure: _make_value(evaluation, measure, ties[name])
                for measure in evaluation.per_query
            },
            p_values={m: compute_p_value(evaluation.per_query[m], baseline[m]) for m in compared},
            differences={
                m: float(pair_differences(evaluation.per_query[m], baseline[m]).mean())
                for m in compared
            },
            against=first,
            study=study,
            collection=collection,
        )


def _make_value(evaluation: Evaluation, measure: str, ties: TieRanges) -> Value:
    low, high = bootstrap_interval(list(evaluation.per_query[measure].values()))
    moved = ties.mean[measure]
    bounds = None if moved is None else (moved.least, moved.greatest)
    return Value(evaluation.mean[measure], low, high, None, bounds)
