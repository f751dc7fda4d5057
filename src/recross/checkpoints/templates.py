"""Templates of prompts: fixed text with slots in braces, as ``str.format`` writes them."""

from __future__ import annotations

from collections.abc import Iterator
from string import Formatter
from typing import NamedTuple

from recross.errors import InputError

SLOTS = ("query", "document", "document0", "document1", "instruction")
DOCUMENTS = (["document"], ["document0", "document1"])
JOINT_SLOT = ""
"""The name of the slot ``{}``, which holds nothing."""


class TemplatePart(NamedTuple):
    """Fixed text, and the slot after it; ``None`` at the end of a template."""

    fixed: str
    slot: str | None


def split_template(template: str) -> Iterator[TemplatePart]:
    """Yield the fixed texts of a template and the slots between them.

    Raises:
        InputError: its braces do not match, or a slot is more than a name.
    """
    before = ""
    try:
        for fixed, slot, specification, conversion in Formatter().parse(template):
            if specification or conversion:
                raise InputError(f"slots of a template must be plain names, got {template!r}")
            before += fixed
            if slot is not None:  # doubled braces end a text too
                yield TemplatePart(before, slot)
                before = ""
        if before:
            yield TemplatePart(before, None)
    except ValueError as error:
        raise InputError(
            f"template must double the braces of its own text, got {template!r} ({error})"
        ) from None


def list_slots(template: str) -> list[str]:
    """The names of a template's slots, in their order, joints left out."""
    return [part.slot for part in split_template(template) if part.slot]


def check_slots(template: str) -> None:
    """Refuse a template that does not hold its texts once each, and no others.

    Raises:
        InputError: a slot is missing, unknown, or there twice.
    """
    slots = list_slots(template)
    documents = sorted(slot for slot in slots if slot.startswith("document"))
    fits = documents in DOCUMENTS and slots.count("query") == 1 and slots.count("instruction") <= 1
    if not fits or not set(slots) <= set(SLOTS):
        raise InputError(
            "template must hold {query} and {document} (or {document0} and {document1}) once each,"
            f" and may hold {{instruction}}, got {template!r}"
        )


def escape_braces(text: str) -> str:
    """Fixed text as a template writes it."""
    return text.replace("{", "{{").replace("}", "}}")
