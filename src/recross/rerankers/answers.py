"""The answers of a generative network: which tokens they are, and how their logits are read."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from recross.errors import InputError


def piece_id(tokenizer: Any, piece: str) -> int:
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


def margin(logits: Tensor, kind: str) -> Tensor:
    """Of two answers the difference, which the logistic losses want; else as it is read."""
    if kind == "log_softmax" and logits.shape[-1] == 2:
        return logits[..., 1] - logits[..., 0]
    return read_out(logits, kind)


def read_out(logits: Tensor, kind: str) -> Tensor:
    """Scores ``(B,)`` from the answers' logits ``(B, C)``, as a contract's ``read_out`` says."""
    if kind == "log_softmax":
        return F.log_softmax(logits, dim=-1)[..., -1]
    if kind == "expected_value":
        numbers = torch.arange(logits.shape[-1], device=logits.device, dtype=logits.dtype)
        return (logits.softmax(dim=-1) * numbers).sum(dim=-1)
    return logits.squeeze(-1)
