"""The answers of a generative network: which tokens they are."""

from __future__ import annotations

from recross.checkpoints.loaded import Tokenizer
from recross.errors import InputError


def piece_id(tokenizer: Tokenizer, piece: str) -> int:
    """The number of a vocabulary entry.

    Raises:
        InputError: the vocabulary has no such entry, so that an answer would be several tokens.
    """
    number = tokenizer.get_vocab().get(piece)
    if number is None:
        raise InputError(
            f"pieces must be single entries of the tokenizer's vocabulary, got {piece!r}, which is"
            f" {tokenizer.tokenize(piece.replace('▁', ' '))}"
        )
    return int(number)
