"""The contracts of published checkpoints as one table, with the numbers that others measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import singledispatch

from recross.checkpoints.contracts import (
    AnyContract,
    Contract,
    LateInteractionContract,
    PromptContract,
)
from recross.checkpoints.published import PUBLISHED
from recross.checkpoints.published_numbers import NUMBERS, Published

HEADER = (
    *("checkpoint", "option", "template", "read-out", "limits in tokens", "precisions"),
    *("published", "source of the contract"),
)
NONE = "–"


def contracts_table(options: Mapping[str, Sequence[str]]) -> str:
    """A Markdown table with a line for each contract and its checkpoints of the same numbers.

    ``options`` are the names of re-ranker options by the checkpoint that they load.
    """
    groups: dict[tuple[str, tuple[Published, ...]], list[str]] = {}
    for checkpoint, contract in PUBLISHED.items():
        name = contract.name.replace("-L-", "-L")  # of today, and as it was before
        groups.setdefault((name, NUMBERS.get(checkpoint, ())), []).append(checkpoint)
    lines = [HEADER, ("---",) * len(HEADER)]
    for (_, numbers), checkpoints in groups.items():
        contract = PUBLISHED[checkpoints[-1]]
        offered = [name for checkpoint in checkpoints for name in options.get(checkpoint, ())]
        lines.append(
            (
                "<br>".join(f"`{checkpoint}`" for checkpoint in checkpoints),
                ", ".join(f"`{name}`" for name in offered) or NONE,
                *_asked(contract),
                "<br>".join(map(_number, numbers)) or NONE,
                contract.source,
            )
        )
    cells = ([cell.replace("|", "\\|").replace("\n", " ⏎ ") for cell in line] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in cells) + "\n"


@singledispatch
def _asked(contract: AnyContract) -> tuple[str, str, str, str]:
    """Template, read-out, limits and precisions."""
    raise TypeError(f"no published contract is a {type(contract).__name__}")


@_asked.register
def _(contract: Contract) -> tuple[str, str, str, str]:
    limits = _limits(contract.max_length, contract.max_query_length)
    return "query and document as a pair", contract.read_out, limits, ", ".join(contract.precisions)


@_asked.register
def _(contract: PromptContract) -> tuple[str, str, str, str]:
    prompt = f"`{contract.prefix}{contract.template}{contract.suffix}`"
    pieces = " ".join(f"`{piece}`" for piece in contract.pieces)
    after = f" after `{' '.join(contract.opening)}`" if contract.opening else ""
    read = f"{contract.read_out} {pieces}{after}".strip()
    limits = _limits(contract.max_length, contract.max_query_length)
    return prompt, read, limits, ", ".join(contract.precisions)


@_asked.register
def _(contract: LateInteractionContract) -> tuple[str, str, str, str]:
    template = f"`{contract.query_marker} query`, `{contract.document_marker} document`"
    limits = f"query {contract.query_length}, document {contract.document_length}"
    return template, f"MaxSim, {contract.dimension} wide", limits, "fp32, bf16, fp16"


def _limits(max_length: int, max_query_length: int | None) -> str:
    return f"{max_length}, query {max_query_length}" if max_query_length else str(max_length)


def _number(number: Published) -> str:
    over = f"on {number.collection}, {number.candidates} ({number.source})"
    return f"{number.measure} {number.value:.4f} {over}"
