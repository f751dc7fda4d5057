"""The contracts of published checkpoints as one table, with the numbers that others measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from textwrap import wrap
from typing import NamedTuple

from recross.checkpoints.contracts import Summary
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


class _Told(NamedTuple):
    """What is told of a contract: of one checkpoint, or of several with the same numbers."""

    spellings: list[str]
    offered: list[str]
    summary: Summary
    precisions: str
    numbers: list[str]
    source: str


def format_contracts(options: Mapping[str, Sequence[str]]) -> str:
    """A Markdown table with a line for each contract and its checkpoints of the same numbers.

    ``options`` are the names of re-ranker options by the checkpoint that they load.
    """
    lines = [_line(told) for told in _tell(options)]
    return "\n".join(align_table(HEADER, lines, len(HEADER), WIDEST)) + "\n"


def wrap_contracts(options: Mapping[str, Sequence[str]], width: int) -> str:
    """The same for a terminal: a paragraph for each contract, in lines of ``width`` at most."""
    return "\n".join("\n".join(_wrap(told, width)) + "\n" for told in _tell(options))


def _tell(options: Mapping[str, Sequence[str]]) -> Iterator[_Told]:
    groups: dict[tuple[str, tuple[PublishedNumber, ...]], list[PublishedCheckpoint]] = {}
    for record in PUBLISHED:
        groups.setdefault((record.contract.name, record.numbers), []).append(record)
    for records in groups.values():
        spellings = [spelling for record in records for spelling in record.ids]
        offered = [name for spelling in spellings for name in options.get(spelling, ())]
        contract, numbers = records[0].contract, list(map(_number, records[0].numbers))
        precisions = ", ".join(contract.precisions)
        yield _Told(spellings, offered, contract.summary, precisions, numbers, contract.source)


def _line(told: _Told) -> tuple[str, ...]:
    return (
        Marked("<br>".join(map(format_code, told.spellings))),
        Marked(", ".join(map(format_code, told.offered)) or MISSING),
        *(Marked(_in_one_line(text).replace("|", "\\|")) for text in told.summary),
        told.precisions,
        Marked("<br>".join(map(escape_markdown, told.numbers)) or MISSING),
        told.source,
    )


def _wrap(told: _Told, width: int) -> Iterator[str]:
    yield from told.spellings  # whole, to be copied
    told_of = (
        ", ".join(told.offered),
        *map(_in_one_line, told.summary),
        told.precisions,
        "; ".join(told.numbers),
        told.source,
    )
    for name, text in zip(HEADER[1:], told_of, strict=True):
        if text:
            begin = f"  {name}: "
            yield from wrap(text, width, initial_indent=begin, subsequent_indent="    ")


def _in_one_line(text: str) -> str:
    return text.replace("\n", " ⏎ ")


def _number(number: PublishedNumber) -> str:
    over = f"on {number.collection}, {number.candidates} ({number.source})"
    return f"{number.measure} {number.value:.4f} {over}"
