"""What an odd input is, and the two right answers to one: a value, or one clear refusal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Refusal:
    """One ``InputError``, whose message holds each of these texts."""

    says: tuple[str, ...]


def refused(*says: str) -> Refusal:
    """The input is wrong; the message names argument, rule and value by these texts."""
    return Refusal(says)


@dataclass(frozen=True)
class OddInput:
    """``act`` meets the input in an empty folder that it is handed; ``answer`` is what is right.

    An answer that is no refusal is what ``act`` returns.
    """

    name: str
    act: Callable[[Path], object]
    answer: object
