"""What writes an answer to a conversation: a model on this machine, or one behind a server."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Literal, Protocol, TypedDict, runtime_checkable

from tqdm import tqdm

from recross.records import Cost


class Message(TypedDict):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


Conversation = Sequence[Message]
"""Turns in their order, the last one the user's."""


@runtime_checkable
class TextGenerator(Protocol):
    """Answers conversations, the most probable token at each step, so that answers are facts."""

    @property
    def name(self) -> str:
        """A short name for runs and tables."""

    def fits(self, conversation: Conversation, max_new_tokens: int) -> bool:
        """Whether the model has room for a conversation and its answer, as far as can be known."""

    def generate(
        self, conversations: Sequence[Conversation], max_new_tokens: int
    ) -> tuple[list[str], Cost]:
        """Answer each conversation, in their order, with at most so many tokens."""


def progress(total: int, description: str, unit: str) -> tqdm:
    """A bar on a terminal; a log file gets none."""
    shown = total > 1 and sys.stderr.isatty()
    return tqdm(total=total, desc=description, unit=unit, disable=not shown, leave=False)
