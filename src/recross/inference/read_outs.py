"""How a score is read from the logits of a network's answers: the values that contracts name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

Read = Callable[[Tensor], Tensor]
"""Answers' logits ``(B, C)``, the most relevant last, to ``(B,)``."""


class ReadOut(NamedTuple):
    """The score that is published, and what training (and comparing two documents) wants instead.

    Losses take differences of logits, and so do sums over comparisons: both need them unrounded.
    """

    score: Read
    learn: Read


def take_only(logits: Tensor) -> Tensor:
    """Take the only logit for the score."""
    return logits.squeeze(-1)


def take_second(logits: Tensor) -> Tensor:
    """Take the second of two logits for the score; the first plays no part."""
    return logits[..., 1]


def bend_only(logits: Tensor) -> Tensor:
    """The hyperbolic tangent of the only logit."""
    return torch.tanh(logits.squeeze(-1))


def take_log_probability(logits: Tensor) -> Tensor:
    """The log-probability of the last answer among the answers."""
    return F.log_softmax(logits, dim=-1)[..., -1]


def expect_value(logits: Tensor) -> Tensor:
    """The mean of the answers' numbers 0, 1, ... under their softmax."""
    numbers = torch.arange(logits.shape[-1], device=logits.device, dtype=logits.dtype)
    return (logits.softmax(dim=-1) * numbers).sum(dim=-1)


def take_lead(logits: Tensor) -> Tensor:
    """By how much the second of two answers is ahead; one alone as it is, of more the last."""
    if logits.shape[-1] == 2:
        return logits[..., 1] - logits[..., 0]
    return take_only(logits) if logits.shape[-1] == 1 else take_log_probability(logits)


def squash_lead(logits: Tensor) -> Tensor:
    """The sigmoid of the lead of the second of two answers, or of the only logit."""
    return torch.sigmoid(take_lead(logits))


READ_OUTS: Mapping[str, ReadOut] = {
    "logit": ReadOut(take_only, take_lead),
    "margin": ReadOut(take_lead, take_lead),
    "sigmoid": ReadOut(squash_lead, take_lead),
    "tanh": ReadOut(bend_only, take_lead),
    "log_softmax": ReadOut(take_log_probability, take_lead),
    "second_logit": ReadOut(take_second, take_second),
    "expected_value": ReadOut(expect_value, expect_value),
    "head": ReadOut(take_only, take_only),
}
"""Read-outs by the names that contracts give them."""


def divide(read_out: ReadOut, temperature: float, rounded: bool) -> ReadOut:
    """The same read-out of logits divided by a temperature, its score rounded to bf16 or not."""
    if temperature == 1 and not rounded:
        return read_out

    def read(logits: Tensor) -> Tensor:
        return read_out.score(logits / temperature)

    def read_rounded(logits: Tensor) -> Tensor:
        return read(logits).bfloat16().float()

    def learn(logits: Tensor) -> Tensor:
        return read_out.learn(logits / temperature)

    return ReadOut(read_rounded if rounded else read, learn)
