"""What a checkpoint may be asked by mistake: its template in part, or that of another one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from recross.checkpoints.contracts import PromptContract
from recross.checkpoints.published import PUBLISHED
from recross.checkpoints.templates import SLOTS, TemplatePart, escape_braces, split_template

_TEXT_SLOTS = tuple(slot for slot in SLOTS if slot != "instruction")


def list_other_prompts(own: PromptContract) -> Iterator[tuple[str, PromptContract]]:
    """Other prompts for a checkpoint, in words and as contracts, its own read-out and limits kept.

    Its own template without one of its parts, and the prompts of published checkpoints; each once.
    """
    seen = [own]
    for asked, contract in _list_all(own):
        if contract not in seen:
            seen.append(contract)
            yield asked, contract


def _list_all(own: PromptContract) -> Iterator[tuple[str, PromptContract]]:
    parts = list(split_template(own.asked_template))
    slots = [number for number, part in enumerate(parts) if part.slot in SLOTS]
    until_last = parts[: slots[-1] + 1]
    from_first = [parts[slots[0]]._replace(fixed=""), *parts[slots[0] + 1 :]]
    none = "".join(f"{{{part.slot}}}" for part in parts if part.slot in _TEXT_SLOTS)
    bare = replace(own, instruction=None, instructed=None, template=none, prefix="", suffix="")
    yield "no template at all", bare
    cut = replace(own, instructed=None, template=_write_template(from_first), prefix="")
    yield "its template without what stands before the texts", cut
    cut = replace(own, instructed=None, template=_write_template(until_last), suffix="")
    yield "its template without what stands after the texts", cut
    if own.instruction:
        yield "its template with an empty instruction", own.with_instruction("")
    for known in dict.fromkeys(record.contract for record in PUBLISHED):
        if isinstance(known, PromptContract) and known.compares == own.compares:
            yield f"template of {known.name}", _read_by(own, known)


def _read_by(own: PromptContract, other: PromptContract) -> PromptContract:
    """What another contract asks, read and limited as our own says."""
    return replace(
        other,
        name=own.name,
        source=own.source,
        precisions=own.precisions,
        read_out=own.read_out,
        pieces=own.pieces,
        opening=own.opening,
        max_length=own.max_length,
        max_query_length=own.max_query_length,
        temperature=own.temperature,
        rounded=own.rounded,
    )


def _write_template(parts: Sequence[TemplatePart]) -> str:
    return "".join(
        escape_braces(fixed) + (f"{{{slot}}}" if slot is not None else "") for fixed, slot in parts
    )
