"""Means over the collections of a study, one row for each model, as papers print them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from recross.records import JsonObject
from recross.report.tables.row_references import Reference
from recross.report.tables.rows import INTERPOLATED, Row, make_rows
from recross.report.tables.values import Value

_Bounds = tuple[float, float]


def make_table_rows(
    results: Iterable[JsonObject], references: Mapping[str, Reference]
) -> list[Row]:
    """The rows of finished experiments, and below them those of means over collections."""
    rows = make_rows(results, references)
    means = list(make_mean_rows(rows, references))
    measured = {row.label for row in means}
    return [*(row for row in rows if row.measures or row.label not in measured), *means]


def make_mean_rows(rows: Sequence[Row], references: Mapping[str, Reference]) -> Iterator[Row]:
    """A row for each setting that was measured once on every collection of its study.

    A setting is what a record says of its first stage, re-ranker, training and form. Where a study
    has one collection only, or a setting lacks one, there is no mean.
    """
    groups = [group for study in _part_studies(rows) for group in _find_whole_settings(study)]
    labels = [_name_group(group, name_mean) for group in groups]
    for group, label in zip(groups, labels, strict=True):
        is_taken = labels.count(label) > 1
        yield _make_mean(group, _name_group(group, _list_all) if is_taken else label, references)


def name_mean(labels: Sequence[str]) -> str:
    """Name a mean over rows by the words that their labels share.

    ``big on a`` and ``big on b`` become ``big on mean of 2``; labels that share no word are listed.
    """
    words = [label.split() for label in labels]
    start = _count_shared(words)
    rest = [line[start:] for line in words]
    end = _count_shared([line[::-1] for line in rest])
    if not start + end:
        return _list_all(labels)
    ending = rest[0][len(rest[0]) - end :]
    return " ".join([*words[0][:start], f"mean of {len(labels)}", *ending])


def _list_all(labels: Sequence[str]) -> str:
    return f"mean of {len(labels)}: {'; '.join(labels)}"


def _count_shared(lines: Sequence[Sequence[str]]) -> int:
    """How many words all lines begin with."""
    columns = enumerate(zip(*lines, strict=False))
    least = min(map(len, lines))
    return next((number for number, column in columns if len(set(column)) > 1), least)


def _part_studies(rows: Sequence[Row]) -> list[list[Row]]:
    measured = [row for row in rows if row.measures]
    studies = dict.fromkeys(row.study for row in measured)
    return [[row for row in measured if row.study == study] for study in studies]


def _find_whole_settings(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Rows of one setting that have every collection of these rows, each once."""
    collections = {row.collection for row in rows}
    for setting in dict.fromkeys(row.setting for row in rows):
        group = [row for row in rows if row.setting == setting]
        if len({row.collection for row in group}) == len(group) == len(collections) > 1:
            yield group


def _name_group(rows: Sequence[Row], name: Callable[[Sequence[str]], str]) -> str:
    """Name a mean, without the weights where its rows are interpolated."""
    parts = [row.label.partition(INTERPOLATED) for row in rows]
    return name([base for base, _, _ in parts]) + parts[0][1]


def _make_mean(rows: Sequence[Row], label: str, references: Mapping[str, Reference]) -> Row:
    shared = [name for name in rows[0].measures if all(name in row.measures for row in rows)]
    sizes, parameters = {row.size_mb for row in rows}, {row.parameters for row in rows}
    return Row(
        label=label,
        seeds=min(row.seeds for row in rows),
        measures={name: _average([row.measures[name] for row in rows]) for name in shared},
        differences={
            name: statistics.mean(row.differences[name] for row in rows)
            for name in shared
            if all(name in row.differences for row in rows)
        },
        form=rows[0].form,
        size_mb=sizes.pop() if len(sizes) == 1 else None,
        parameters=parameters.pop() if len(parameters) == 1 else None,
        reference=references.get(label),
        candidates=" and ".join(dict.fromkeys(row.candidates for row in rows)),
        depth=rows[0].depth,
        study=rows[0].study,
        collections=len(rows),
        folders=tuple(folder for row in rows for folder in row.folders),
        versions=tuple(dict.fromkeys(version for row in rows for version in row.versions)),
    )


def _average(values: Sequence[Value]) -> Value:
    """Every collection weighs the same; queries of several are drawn apart, so variances add up."""
    mean = statistics.mean(value.mean for value in values)
    below = math.hypot(*(value.mean - value.low for value in values)) / len(values)
    above = math.hypot(*(value.high - value.mean for value in values)) / len(values)
    return Value(mean, mean - below, mean + above, None, _average_ties(values))


def _average_ties(values: Sequence[Value]) -> _Bounds | None:
    known = [value.ties for value in values if value.ties is not None]
    if len(known) < len(values):
        return None
    least, greatest = zip(*known, strict=True)
    return statistics.mean(least), statistics.mean(greatest)
