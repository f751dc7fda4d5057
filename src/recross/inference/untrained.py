"""Networks whose head was drawn and not trained: their order is random; they refuse to score."""

from __future__ import annotations

from typing import Literal, Protocol, TypeAlias

from recross.errors import InputError

Untrained: TypeAlias = Literal["refuse", "allow"]
"""What becomes of scores of a head that was drawn: only what is timed or tested allows them."""


class MayBeDrawn(Protocol):
    """A network that knows whether its head was drawn and not trained since."""

    head_is_fresh: bool


def refuse_untrained(network: MayBeDrawn, called: str = "the network") -> None:
    """Refuse to score with a head that was drawn; an error calls the network as is said here.

    Raises:
        InputError: it was, and has not been trained since.
    """
    if network.head_is_fresh:
        raise InputError(
            f"reranker must be trained before it scores: {called} has a freshly drawn head; train"
            " it (recross run, recross train), or name a trained checkpoint; only to time it or to"
            " test with it, load_reranker(..., untrained='allow')"
        )


def allow_untrained(network: MayBeDrawn) -> None:
    """Let a network score from here on as it was drawn: to time it, or to test with it."""
    network.head_is_fresh = False
