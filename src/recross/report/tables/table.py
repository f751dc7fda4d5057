"""Rows as Markdown, CSV and LaTeX."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from recross.report.tables.alignment import MISSING, align_table
from recross.report.tables.other_versions import name_other_versions
from recross.report.tables.row_references import Reference
from recross.report.tables.rows import Row, Value
from recross.writing.escaping import (
    Cell,
    escape_latex,
    escape_markdown,
    format_csv_line,
    show_unprintable,
)
from recross.writing.whole_files import write_whole

Column = tuple[str, Callable[[Row], str]]
NOTE = (
    "Brackets: 95 % bootstrap interval over queries (± sd over seeds). ▲ better, ▼ worse than its"
    " own first stage, p < .05 (paired randomisation test on the first measure, Holm-corrected over"
    " rows)."
    " Latency: one query at a time, warm, cache off, per 100 documents; of a first stage: one"
    " search for 100 documents. Interpolated rows: weight of the re-ranker, chosen on dev."
)


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


def write_table(rows: Sequence[Row], folder: Path) -> list[Path]:
    """Write ``table.md``, ``table.csv`` and ``table.tex``; returns their paths."""
    texts = {"md": format_markdown(rows), "csv": comma_separated(rows), "tex": format_latex(rows)}
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
        [name for name, _ in columns], [[show(row) for _, show in columns] for row in rows]
    )
    return "\n".join([*lines, "", compose_note(rows), *_list_sources(rows)]) + "\n"


def compose_note(rows: Sequence[Row]) -> str:
    """What brackets and marks mean, of those that these rows have."""
    is_moved = any(value.is_moved_by_ties for row in rows for value in row.measures.values())
    parts = {
        TIES: is_moved,
        OTHER_CANDIDATES: any(row.is_published_over_others for row in rows),
        MEANS: any(row.collections for row in rows),
    }
    marks = "".join(part for part, is_needed in parts.items() if is_needed)
    return NOTE + marks + name_other_versions(rows)


def format_latex(rows: Sequence[Row]) -> str:
    """A ``tabular`` for the booktabs package."""
    columns = choose_columns(rows)
    lines = [" & ".join(escape_latex(name) for name, _ in columns) + " \\\\\n\\midrule"]
    lines += [" & ".join(escape_latex(show(row)) for _, show in columns) + " \\\\" for row in rows]
    body = "\n".join(lines)
    form = "l" + "r" * (len(columns) - 1)
    return f"\\begin{{tabular}}{{{form}}}\n\\toprule\n{body}\n\\bottomrule\n\\end{{tabular}}\n"


def comma_separated(rows: Sequence[Row]) -> str:
    """Plain numbers, one column each."""
    names = list(dict.fromkeys(name for row in rows for name in row.measures))
    spread = [
        f"{name} {statistic}" for name in names for statistic in ("mean", "low", "high", "sd")
    ]
    fixed = ["p_value", "p50_ms", "p95_ms", "tokenize_ms", "forward_ms", "first_stage_ms"]
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
        values = [row.measures.get(name) for name in names]
        quality = [number for v in values for number in (_list_statistics(v) if v else (None,) * 4)]
        latency = row.latency or {}
        times = [latency.get(name) for name in ("p50", "p95", "tokenize", "forward")]
        reference = row.reference
        lines.append(
            [
                show_unprintable(row.label),
                row.seeds,
                *quality,
                row.p_value,
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


def choose_columns(rows: Sequence[Row]) -> list[Column]:
    """Names of the columns that these rows need, and what each shows of a row."""
    names = list(dict.fromkeys(name for row in rows for name in row.measures))
    columns: list[Column] = [("model", lambda row: row.label)]
    if any(row.reference for row in rows):
        columns += _reference_columns()
    for name in names or ["MRR@10"]:
        columns.append((name, _measure(name, marked=name == names[0] if names else False)))
    return [
        *columns,
        *_choose_cost_columns(rows),
        *_form_columns(rows),
        ("p50 ms/100", lambda row: _number((row.latency or {}).get("p50", row.first_stage_ms))),
        ("p95", lambda row: _number((row.latency or {}).get("p95"))),
        ("tokenise", lambda row: _number((row.latency or {}).get("tokenize"))),
        ("forward", lambda row: _number((row.latency or {}).get("forward"))),
        ("pairs/s", lambda row: _number(row.pairs_per_second)),
        ("size MB", lambda row: _number(row.size_mb)),
        ("params M", lambda row: _number(row.parameters and row.parameters / 1000000.0)),
    ]


def _choose_cost_columns(rows: Sequence[Row]) -> list[Column]:
    """Forward passes and tokens of a query, where rows differ in how many documents they read."""
    passes = {round(row.passes_per_query, 1) for row in rows if row.passes_per_query}
    if len(passes) < 2:
        return []
    return [
        ("passes/query", lambda row: _number(row.passes_per_query)),
        ("tokens/query", lambda row: _number(row.tokens_per_query)),
    ]


def _form_columns(rows: Sequence[Row]) -> list[Column]:
    """Back-end and precision, and how near they come to fp32, where rows differ in them."""
    if len({row.form for row in rows if row.measures}) < 2:
        return []

    def gate(row: Row) -> str:
        if row.gate is None or "tau_mean" not in row.gate:
            return MISSING
        return f"{row.gate['tau_mean']:.4f} {'passes' if row.gate['passed'] else 'fails'}"

    return [("back-end", lambda row: row.form), ("tau to fp32, gate", gate)]


def _reference_columns() -> list[Column]:
    def show(read: Callable[[Reference], float | None], form: str) -> Callable[[Row], str]:
        def show_row(row: Row) -> str:
            value = read(row.reference) if row.reference is not None else None
            return MISSING if value is None else format(value, form)

        return show_row

    return [
        ("given", show(lambda reference: reference.given, ".3f")),
        ("given ms/100", show(lambda reference: reference.given_latency_ms, ",.0f")),
        ("given MB", show(lambda reference: reference.given_size_mb, ",.0f")),
        ("published", _show_published),
    ]


def _show_published(row: Row) -> str:
    if row.reference is None or row.reference.published is None:
        return MISSING
    return f"{row.reference.published:.4f}{'†' if row.is_published_over_others else ''}"


def _measure(name: str, marked: bool) -> Callable[[Row], str]:
    def show(row: Row) -> str:
        value = row.measures.get(name)
        if value is None:
            return MISSING
        spread = f" ± {value.sd:.4f}" if value.sd is not None else ""
        mark = row.mark if marked else ""
        shown = f"{value.mean:.4f}{mark}{spread} [{value.low:.3f}, {value.high:.3f}]"
        if value.ties is None or not value.is_moved_by_ties:
            return shown
        return f"{shown} (ties: {value.ties[0]:.4f} to {value.ties[1]:.4f})"

    return show


def _number(value: float | None) -> str:
    if value is None:
        return MISSING
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _list_statistics(value: Value) -> tuple[float | None, ...]:
    return value.mean, value.low, value.high, value.sd


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
