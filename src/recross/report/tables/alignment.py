"""Tables in Markdown whose columns line up in a terminal, too."""

from __future__ import annotations

from collections.abc import Sequence

from recross.writing.escaping import escape_markdown

MISSING = "–"
"""What a cell says where there is no value."""


def align_table(header: Sequence[str], lines: Sequence[Sequence[str]], words: int = 1) -> list[str]:
    """Lines of a Markdown table; the first ``words`` columns are to the left, others to the right.

    What Markdown would read as a command within a cell is escaped.
    """
    cells = [[escape_markdown(cell) for cell in line] for line in (header, *lines)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    rule = "|" + "".join(
        ("-" * (width + 2) if number < words else "-" * (width + 1) + ":") + "|"
        for number, width in enumerate(widths)
    )
    first, *rest = (_line(line, widths, words) for line in cells)
    return [first, rule, *rest]


def _line(cells: Sequence[str], widths: Sequence[int], words: int) -> str:
    padded = [
        cell.ljust(width) if number < words else cell.rjust(width)
        for number, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "| " + " | ".join(padded) + " |"
