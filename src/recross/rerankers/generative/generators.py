"""What writes an answer to a conversation: a model on this machine, or one behind a server."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, Protocol, TypedDict, runtime_checkable

import numpy as np
import numpy.typing as npt

from recross.errors import InputError
from recross.records import Cost

WORDS_KEPT = 0.9
"""Share of the words kept each time that a prompt turns out too long."""


class Message(TypedDict):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


Conversation = Sequence[Message]
"""Turns in their order, the last one the user's, or the assistant's: an answer to go on from."""

LabelLogits = npt.NDArray[np.float64]
"""Of every conversation and label, ``(N, C)``: logarithms of what is proportional to their
probabilities."""


@runtime_checkable
class TextGenerator(Protocol):
    """Answers conversations, the most probable token at each step, so that answers are facts."""

    @property
    def name(self) -> str:
        """A short name for runs and tables."""

    @property
    def parameters(self) -> int | None:
        """How many parameters the model has; ``None`` where that is not known."""

    def quote(self, text: str) -> str:
        """A text as it must stand in a conversation, for all of it to be read as text."""

    def fits(self, conversation: Conversation, max_new_tokens: int) -> bool:
        """Whether the model has room for a conversation and its answer, as far as can be known."""

    def generate(
        self, conversations: Sequence[Conversation], max_new_tokens: int, stop: str | None = None
    ) -> tuple[list[str], Cost]:
        """Answer each conversation, in their order, with at most ``max_new_tokens`` tokens.

        Nothing is written after the text ``stop``, which the answer holds.
        """


@runtime_checkable
class LabelReader(TextGenerator, Protocol):
    """Tells besides which of a few labels its answer would begin with, and writes none."""

    def read_labels(
        self, conversations: Sequence[Conversation], labels: Sequence[str]
    ) -> tuple[LabelLogits, Cost]:
        """How probable each label's first token is after each conversation, ``(N, C)``."""


def begin_answer(conversation: Conversation, text: str) -> Conversation:
    """The same with an answer that was begun, which the model goes on from."""
    return [*conversation, Message(role="assistant", content=text)] if text else conversation


def split_begun(conversation: Conversation) -> tuple[Conversation, str]:
    """What is asked, and the answer that was begun, if one was."""
    if conversation and conversation[-1]["role"] == "assistant":
        return conversation[:-1], conversation[-1]["content"]
    return conversation, ""


def check_placeholders(lay_out: Callable[[], object], rule: str) -> None:
    """Refuse texts with placeholders that cannot be filled, by laying a prompt out once.

    Raises:
        InputError: they cannot; the message is ``rule`` and what laying out said.
    """
    try:
        lay_out()
    except (LookupError, ValueError) as error:
        raise InputError(f"{rule} got {error!r}") from None


def cut_to_fit(
    generator: TextGenerator,
    build: Callable[[str, list[str]], Conversation],
    texts: tuple[str, Sequence[str]],
    words: int,
    max_new_tokens: int,
) -> tuple[Conversation, Cost]:
    """The conversation about a query and documents, and what was cut from them.

    Each text is cut to ``words`` words, and to fewer where the model has no room for the prompt.
    Strings of control tokens in it are text.

    Raises:
        InputError: there is no room even for one word each.
    """
    query, documents = texts
    split = [text.split() for text in (query, *documents)]
    words = min(words, max(map(len, split)))
    while True:
        cut_query, *cut_documents = [generator.quote(" ".join(text[:words])) for text in split]
        conversation = build(cut_query, cut_documents)
        if generator.fits(conversation, max_new_tokens):
            query_is_cut, *are_cut = [len(text) > words for text in split]
            return conversation, Cost(cut_queries=query_is_cut, cut_documents=sum(are_cut))
        if words <= 1:
            raise InputError(
                f"the context of {generator.name} must have room for {max_new_tokens} tokens of"
                f" answer and one word of each text, got {len(documents)} documents, which are too"
                " many"
            )
        words = max(int(words * WORDS_KEPT), 1)
