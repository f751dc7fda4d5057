"""The contracts of published checkpoints as one table, with the numbers that others measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from recross.checkpoints.published import PUBLISHED
from recross.checkpoints.published.record import PublishedCheckpoint, PublishedNumber

HEADER = (
    *("checkpoint", "option", "template", "read-out", "limits in tokens", "precisions"),
    *("published", "source of the contract"),
)
NONE = "–"


def format_contracts(options: Mapping[str, Sequence[str]]) -> str:
    """A Markdown table with a line for each contract and its checkpoints of the same numbers.

    ``options`` are the names of re-ranker options by the checkpoint that they load.
    """
    groups: dict[tuple[str, tuple[PublishedNumber, ...]], list[PublishedCheckpoint]] = {}
    for record in PUBLISHED:
        groups.setdefault((record.contract.name, record.numbers), []).append(record)
    lines = [HEADER, ("---",) * len(HEADER), *(_line(group, options) for group in groups.values())]
    cells = ([cell.replace("|", "\\|").replace("\n", " ⏎ ") for cell in line] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in cells) + "\n"


def _line(
    records: Sequence[PublishedCheckpoint], options: Mapping[str, Sequence[str]]
) -> tuple[str, ...]:
    spellings = [spelling for record in records for spelling in record.ids]
    offered = [name for spelling in spellings for name in options.get(spelling, ())]
    contract = records[0].contract
    return (
        "<br>".join(f"`{spelling}`" for spelling in spellings),
        ", ".join(f"`{name}`" for name in offered) or NONE,
        *contract.summary,
        ", ".join(contract.precisions),
        "<br>".join(map(_number, records[0].numbers)) or NONE,
        contract.source,
    )


def _number(number: PublishedNumber) -> str:
    over = f"on {number.collection}, {number.candidates} ({number.source})"
    return f"{number.measure} {number.value:.4f} {over}"
