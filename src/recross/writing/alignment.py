"""Tables in Markdown whose columns line up in a terminal, too."""

from __future__ import annotations

from collections.abc import Sequence

from recross.writing.escaping import escape_markdown

MISSING = "–"
"""What a cell says where there is no value."""


class Marked(str):
    """A cell that is Markdown already: nothing in it is escaped."""

    __slots__ = ()


def align_table(
    header: Sequence[str],
    lines: Sequence[Sequence[str]],
    words: int = 1,
    widest: int | None = None,
) -> list[str]:
    """Lines of a Markdown table; the first ``words`` columns are to the left, others to the right.

    What Markdown would read as a command within a cell is escaped, unless the cell is ``Marked``.
    Cells longer than ``widest`` make no column wider.
    """
    cells = [[_escape(cell) for cell in line] for line in (header, *lines)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    widths = [min(width, widest or width) for width in widths]
    rule = "|" + "".join(
        ("-" * (width + 2) if number < words else "-" * (width + 1) + ":") + "|"
        for number, width in enumerate(widths)
    )
    first, *rest = (_line(line, widths, words) for line in cells)
    return [first, rule, *rest]


def _escape(cell: str) -> str:
    match cell:
        case Marked():
            return cell
    return escape_markdown(cell)


def _line(cells: Sequence[str], widths: Sequence[int], words: int) -> str:
    padded = [
        cell.ljust(width) if number < words else cell.rjust(width)
        for number, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "| " + " | ".join(padded) + " |"
