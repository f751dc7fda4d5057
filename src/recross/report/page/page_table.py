"""The table of a page: what a cell shows, what it is sorted by, and what stands below it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from recross.records import Json
from recross.report.tables.columns import DIGITS, Column, choose_columns, find_best
from recross.report.tables.latex import format_latex
from recross.report.tables.rows import Row
from recross.report.tables.short_labels import shorten_labels
from recross.report.tables.table import comma_separated, compose_note
from recross.writing.alignment import MISSING
from recross.writing.numbers import relate_p_value

FIGURE_SPACE, POINT_SPACE = "\u2007", "\u2008"
"""As wide as a digit, and as a point."""
_NUMBER = re.compile(r"[+-]?\d[\d,]*(?:\.(\d+))?(?:e[+-]?\d+)?")
_MARK_ORDER = {"▼": -1, "": 0, "▲": 1}
_Cells = list[list[Json]]


def make_page_table(rows: Sequence[Row]) -> dict[str, Json]:
    """Columns, and cells of each row: the text, the value that sorts it, and what more it has.

    Measures come first, so that they are seen on a narrow page, too; their marks stand in columns
    of their own. ``files`` are the table in other formats.
    """
    model, *others = choose_columns(rows)
    ordered = [model, *sorted(others, key=lambda column: column.measure is None)]
    heads, columns = zip(*(part for column in ordered for part in _part(column, rows)), strict=True)
    return {
        "columns": heads,
        "rows": [list(line) for line in zip(*columns, strict=True)],
        "note": compose_note(rows),
        "sources": [f"{row.label}: {row.reference.source}" for row in rows if row.reference],
        "files": [
            {"name": "table.csv", "text": comma_separated(rows)},
            {"name": "table.tex", "text": format_latex(rows)},
        ],
    }


def align_points(texts: Sequence[str]) -> list[str]:
    """Numbers whose points lie below each other where the texts end at one place."""
    found = [_NUMBER.fullmatch(text) for text in texts]
    digits = [len(number[1] or "") if number else 0 for number in found]
    most = max(digits, default=0)
    return [
        text + (POINT_SPACE if most and not own else "") + FIGURE_SPACE * (most - own)
        if number
        else text
        for text, number, own in zip(texts, found, digits, strict=True)
    ]


def _part(column: Column, rows: Sequence[Row]) -> Iterator[tuple[dict[str, Json], _Cells]]:
    if column.measure is not None:
        yield from _part_measure(column.measure, rows)
        return
    texts = [column.show(row) for row in rows]
    if column.name == "model":
        names = shorten_labels(texts).names
        yield _head(column), [[name, text] for name, text in zip(names, texts, strict=True)]
    elif all(text == MISSING or _NUMBER.match(text) for text in texts):
        aligned = zip(align_points(texts), texts, strict=True)
        yield _head(column, numeric=True), [[shown, _read_number(text)] for shown, text in aligned]
    else:
        yield _head(column), [[text, None] for text in texts]


def _part_measure(name: str, rows: Sequence[Row]) -> Iterator[tuple[dict[str, Json], _Cells]]:
    best, _ = find_best(rows, name)
    cells = [_make_cell(row, name, number in best) for number, row in enumerate(rows)]
    yield {"name": name, "unit": "95 % interval", "numeric": True}, cells
    marks = [row.mark_of(name) for row in rows]
    if any(marks):
        said = [_say_difference(row, name) for row in rows]
        yield (
            {"name": f"significance of {name}", "unit": "", "numeric": True, "mark": True},
            [[m, _MARK_ORDER[m], {"title": t}] for m, t in zip(marks, said, strict=True)],
        )


def _make_cell(row: Row, name: str, is_best: bool) -> list[Json]:
    value = row.measures.get(name)
    if value is None:
        return [MISSING, None]
    spread = f"± {value.sd:.{DIGITS}f} " if value.sd is not None else ""
    shown = f"{spread}[{value.low:.3f}, {value.high:.3f}]"
    more: dict[str, Json] = {"detail": shown, "best": is_best}
    if value.ties is not None and value.is_moved_by_ties:
        more["title"] = f"other orders of ties: {value.ties[0]:.4f} to {value.ties[1]:.4f}"
    return [f"{value.mean:.{DIGITS}f}", value.mean, more]


def _say_difference(row: Row, name: str) -> str | None:
    if name not in row.p_values:
        return None
    difference, p_value = row.differences[name], relate_p_value(row.p_values[name])
    return f"{difference:+.4f} from {row.against or 'its own first stage'}, p {p_value}"


def _head(column: Column, numeric: bool = False) -> dict[str, Json]:
    return {"name": column.name, "unit": column.unit, "numeric": numeric}


def _read_number(cell: str) -> float | None:
    number = _NUMBER.match(cell)
    return float(number[0].replace(",", "")) if number else None
