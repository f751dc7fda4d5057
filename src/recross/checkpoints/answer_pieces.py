"""How many pieces of a vocabulary the read-outs of prompts read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from recross.errors import InputError

PIECES: Mapping[str, tuple[int, int | None]] = {
    "head": (0, 0),
    "logit": (1, 1),
    "sigmoid": (0, 2),
    "margin": (2, 2),
    "log_softmax": (2, None),
    "expected_value": (2, None),
}
"""At least, and at most."""


def check_pieces(read_out: str, pieces: Sequence[str | int]) -> None:
    """Refuse more or fewer pieces than a read-out reads.

    Raises:
        InputError: there are too many, or too few.
    """
    least, most = PIECES[read_out]
    if len(pieces) < least or (most is not None and len(pieces) > most):
        upwards = f"{least} to {most}" if most else f"{least} or more"
        number = str(least) if most == least else upwards
        raise InputError(
            f"pieces must be {number} for the read-out {read_out!r}, got {list(pieces)}"
        )
