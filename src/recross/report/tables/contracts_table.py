"""The contracts of published checkpoints as one table, with the numbers that others measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from recross.checkpoints.published import PUBLISHED
from recross.checkpoints.published.record import PublishedCheckpoint, PublishedNumber
from recross.writing.alignment import MISSING, Marked, align_table
from recross.writing.escaping import escape_markdown, format_code

HEADER = (
    *("checkpoint", "option", "template", "read-out", "limits in tokens", "precisions"),
    *("published", "source of the contract"),
)
WIDEST = 32
"""Characters of a column; some cells have thousands, and no other line is to be as long."""


def format_contracts(options: Mapping[str, Sequence[str]]) -> str:
    """A Markdown table with a line for each contract and its checkpoints of the same numbers.

    ``options`` are the names of re-ranker options by the checkpoint that they load.
    """
    groups: dict[tuple[str, tuple[PublishedNumber, ...]], list[PublishedCheckpoint]] = {}
    for record in PUBLISHED:
        groups.setdefault((record.contract.name, record.numbers), []).append(record)
    lines = [_line(group, options) for group in groups.values()]
    return "\n".join(align_table(HEADER, lines, len(HEADER), WIDEST)) + "\n"


def _line(
    records: Sequence[PublishedCheckpoint], options: Mapping[str, Sequence[str]]
) -> tuple[str, ...]:
    spellings = [spelling for record in records for spelling in record.ids]
    offered = [name for spelling in spellings for name in options.get(spelling, ())]
    contract = records[0].contract
    return (
        Marked("<br>".join(map(format_code, spellings))),
        Marked(", ".join(map(format_code, offered)) or MISSING),
        *(Marked(text.replace("|", "\\|").replace("\n", " ⏎ ")) for text in contract.summary),
        ", ".join(contract.precisions),
        Marked("<br>".join(map(_number, records[0].numbers)) or MISSING),
        contract.source,
    )


def _number(number: PublishedNumber) -> str:
    over = f"on {number.collection}, {number.candidates} ({number.source})"
    return f"{number.measure} {number.value:.4f} {escape_markdown(over)}"
