"""Rows as Markdown, CSV and LaTeX."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from recross.report.tables.columns import choose_columns
from recross.report.tables.latex import LatexStyle, format_latex
from recross.report.tables.other_versions import name_other_versions
from recross.report.tables.rows import INTERPOLATED, Row
from recross.writing.alignment import align_table
from recross.writing.escaping import Cell, escape_markdown, format_csv_line, show_unprintable
from recross.writing.whole_files import write_whole

INTERVALS = "Brackets: 95 % bootstrap interval over queries (± sd over seeds)."
TESTED = (
    " ▲ better, ▼ worse than {}, p < .05 (paired randomisation test, Holm-corrected over the rows"
    " of a measure)."
)
TIMED = (
    " Latency: one query at a time, warm, cache off, per 100 documents; of a first stage: one"
    " search for 100 documents."
)
MIXED = " Interpolated rows: weight of the re-ranker, chosen on dev."

TIES = (
    " Ties: the means that other orders of documents with one score would give, where they differ"
    " in a digit shown."
)
OTHER_CANDIDATES = (
    " †: published over other candidates than the row's own, so not comparable with it."
)


MEANS = (
    " Means over collections: each collection weighs the same; the intervals are made of the"
    " collections' own (the root of the sum of squares), and no mean is tested."
)


def write_table(rows: Sequence[Row], folder: Path, style: LatexStyle = LatexStyle()) -> list[Path]:
    """Write ``table.md``, ``table.csv`` and ``table.tex``; returns their paths."""
    texts = {
        "md": format_markdown(rows),
        "csv": comma_separated(rows),
        "tex": format_latex(rows, style),
    }
    paths = []
    for suffix, text in texts.items():
        path = folder / f"table.{suffix}"
        write_whole(path, text, errors="backslashreplace")
        paths.append(path)
    return paths


def format_markdown(rows: Sequence[Row]) -> str:
    """A table in Markdown with aligned columns and a note that explains its marks."""
    columns = choose_columns(rows)
    lines = align_table(
        [column.heading for column in columns],
        [[column.show(row) for column in columns] for row in rows],
    )
    return "\n".join([*lines, "", compose_note(rows), *_list_sources(rows)]) + "\n"


def compose_note(rows: Sequence[Row]) -> str:
    """What brackets and marks mean, of those that these rows have."""
    is_moved = any(value.is_moved_by_ties for row in rows for value in row.measures.values())
    against = next((row.against for row in rows if row.against), "its own first stage")
    parts = {
        TESTED.format(against): any(row.p_values for row in rows),
        TIMED: any(row.latency or row.first_stage_ms for row in rows),
        MIXED: any(INTERPOLATED in row.label for row in rows),
        TIES: is_moved,
        OTHER_CANDIDATES: any(row.is_published_over_others for row in rows),
        MEANS: any(row.collections for row in rows),
    }
    marks = "".join(part for part, is_needed in parts.items() if is_needed)
    return INTERVALS + marks + name_other_versions(rows)


def comma_separated(rows: Sequence[Row]) -> str:
    """Plain numbers, one column each."""
    names = list(dict.fromkeys(name for row in rows for name in row.measures))
    statistics = ("mean", "low", "high", "sd", "p")
    spread = [f"{name} {statistic}" for name in names for statistic in statistics]
    fixed = ["p50_ms", "p95_ms", "tokenize_ms", "forward_ms", "first_stage_ms"]
    more = [
        "pairs_per_second",
        "passes_per_query",
        "tokens_per_query",
        "form",
        "gate_tau",
        "gate_passed",
        "size_mb",
        "parameters",
        "given",
        "published",
        "collections",
        "folders",
    ]
    lines: list[list[Cell]] = [["label", "seeds", *spread, *fixed, *more]]
    for row in rows:
        quality = [number for name in names for number in _list_statistics(row, name)]
        latency = row.latency or {}
        times = [latency.get(name) for name in ("p50", "p95", "tokenize", "forward")]
        reference = row.reference
        lines.append(
            [
                show_unprintable(row.label),
                row.seeds,
                *quality,
                *times,
                row.first_stage_ms,
                row.pairs_per_second,
                row.passes_per_query,
                row.tokens_per_query,
                row.form,
                (row.gate or {}).get("tau_mean"),
                (row.gate or {}).get("passed"),
                row.size_mb,
                row.parameters,
                reference.given if reference else None,
                reference.published if reference else None,
                row.collections,
                " ".join(row.folders),
            ]
        )
    return "".join(map(format_csv_line, lines))


def _list_statistics(row: Row, name: str) -> tuple[float | None, ...]:
    value = row.measures.get(name)
    if value is None:
        return (None,) * 5
    return value.mean, value.low, value.high, value.sd, row.p_values.get(name)


def _list_sources(rows: Sequence[Row]) -> list[str]:
    lines = [
        escape_markdown(
            f"{row.label}: {row.reference.source}"
            + (f" (over {row.reference.candidates})" if row.reference.candidates else "")
        )
        for row in rows
        if row.reference
    ]
    return ["", "Published values:", *(f"- {line}" for line in lines)] if lines else []
