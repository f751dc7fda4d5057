"""The columns of a table: what Markdown, LaTeX and the page show of a row, and in which unit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from recross.report.tables.row_references import Reference
from recross.report.tables.rows import Row
from recross.writing.alignment import MISSING

Show = Callable[[Row], str]
DIGITS = 4
"""After the point of a measure."""


@dataclass(frozen=True)
class Column:
    """A column; ``show`` says all of a row in one cell.

    That of a ``measure`` has its mark, interval, and spread in its cell, which formats with more
    room set apart. ``is_printed`` says whether a paper has it.
    """

    name: str
    show: Show
    unit: str = ""
    measure: str | None = None
    is_printed: bool = True

    @property
    def heading(self) -> str:
        """The name with the unit."""
        return f"{self.name} {self.unit}".rstrip()


def choose_columns(rows: Sequence[Row]) -> list[Column]:
    """The columns that these rows need: those in which a row has something, and the measures."""
    names = list(dict.fromkeys(name for row in rows for name in row.measures)) or ["MRR@10"]
    model = Column("model", lambda row: row.label)
    measures = [Column(name, _show_measure(name), measure=name) for name in names]
    others = [*_choose_cost_columns(rows), *_choose_form_columns(rows), *_TIMES_AND_SIZES]
    return [
        model,
        *(column for column in _REFERENCES if _is_needed(column, rows)),
        *measures,
        *(column for column in others if _is_needed(column, rows)),
    ]


def find_best(rows: Sequence[Row], measure: str) -> tuple[set[int], set[int]]:
    """Which rows are best and second in a measure, as printed; of each collection's rows apart.

    A row that nothing is compared with is neither.
    """
    groups: dict[tuple[str, str, int | None], dict[int, float]] = {}
    for number, row in enumerate(rows):
        if (value := row.measures.get(measure)) is not None:
            place = (row.study, row.collection, row.collections)
            groups.setdefault(place, {})[number] = round(value.mean, DIGITS)
    best, second = set(), set()
    for means in groups.values():
        ordered = sorted(set(means.values()), reverse=True)
        if len(means) > 1 and len(ordered) > 1:
            best |= _find_equal(means, ordered[0])
            second |= _find_equal(means, ordered[1]) if len(means) > 2 else set()
    return best, second


def _find_equal(means: Mapping[int, float], value: float) -> set[int]:
    return {number for number, mean in means.items() if mean == value}


def _is_needed(column: Column, rows: Sequence[Row]) -> bool:
    return any(column.show(row) not in ("", MISSING) for row in rows)


def _choose_cost_columns(rows: Sequence[Row]) -> list[Column]:
    """Forward passes and tokens of a query, where rows differ in how many documents they read."""
    passes = {round(row.passes_per_query, 1) for row in rows if row.passes_per_query}
    if len(passes) < 2:
        return []
    return [
        Column("passes/query", lambda row: format_number(row.passes_per_query)),
        Column("tokens/query", lambda row: format_number(row.tokens_per_query), is_printed=False),
    ]


def _choose_form_columns(rows: Sequence[Row]) -> list[Column]:
    """Back-end and precision, and how near they come to fp32, where rows differ in them."""
    if len({row.form for row in rows if row.measures}) < 2:
        return []
    return [Column("back-end", lambda row: row.form), Column("tau to fp32, gate", _show_gate)]


def _show_gate(row: Row) -> str:
    if row.gate is None or "tau_mean" not in row.gate:
        return MISSING
    return f"{row.gate['tau_mean']:.4f} {'passes' if row.gate['passed'] else 'fails'}"


def _show_reference(read: Callable[[Reference], float | None], form: str) -> Show:
    def show(row: Row) -> str:
        value = read(row.reference) if row.reference is not None else None
        return MISSING if value is None else format(value, form)

    return show


def _show_published(row: Row) -> str:
    if row.reference is None or row.reference.published is None:
        return MISSING
    return f"{row.reference.published:.4f}{'†' if row.is_published_over_others else ''}"


def _show_measure(name: str) -> Show:
    def show(row: Row) -> str:
        value = row.measures.get(name)
        if value is None:
            return MISSING
        spread = f" ± {value.sd:.4f}" if value.sd is not None else ""
        mark = row.mark_of(name)
        shown = f"{value.mean:.{DIGITS}f}{mark}{spread} [{value.low:.3f}, {value.high:.3f}]"
        if value.ties is None or not value.is_moved_by_ties:
            return shown
        return f"{shown} (ties: {value.ties[0]:.4f} to {value.ties[1]:.4f})"

    return show


def _show_time(name: str) -> Show:
    return lambda row: format_number((row.latency or {}).get(name))


def format_number(value: float | None) -> str:
    """Three digits, zeros at the end included, or a whole number with its thousands apart."""
    if value is None:
        return MISSING
    if value == 0 or value >= 100:
        return f"{value:,.0f}"
    return f"{value:#.3g}".rstrip(".")


_REFERENCES = (
    Column("given", _show_reference(lambda reference: reference.given, ".3f")),
    Column(
        "given", _show_reference(lambda reference: reference.given_latency_ms, ",.0f"), "ms/100"
    ),
    Column("given", _show_reference(lambda reference: reference.given_size_mb, ",.0f"), "MB"),
    Column("published", _show_published),
)
_TIMES_AND_SIZES = (
    Column(
        "p50",
        lambda row: format_number((row.latency or {}).get("p50", row.first_stage_ms)),
        "ms/100",
    ),
    Column("p95", _show_time("p95"), "ms/100", is_printed=False),
    Column("tokenise", _show_time("tokenize"), "ms/100", is_printed=False),
    Column("forward", _show_time("forward"), "ms/100", is_printed=False),
    Column("pairs/s", lambda row: format_number(row.pairs_per_second), is_printed=False),
    Column("size", lambda row: format_number(row.size_mb), "MB"),
    Column("params", lambda row: format_number(row.parameters and row.parameters / 1e6), "M"),
)
