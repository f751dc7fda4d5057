"""Losses over lists: scores ``(Q, N)`` and labels ``(Q, N)`` to one number.

A label of ``ABSENT`` marks a place that holds no document, for queries with fewer documents than
others; it has no part in any loss. Every loss is a mean over queries.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from recross.errors import InputError

Loss = Callable[[Tensor, Tensor], Tensor]

ABSENT = -1.0


@dataclass(frozen=True)
class Pointwise:
    """Binary cross-entropy of every document on its own (monoBERT, Nogueira & Cho 2019).

    The positives of a query together weigh ``positive_weight`` times as much as one negative.
    """

    positive_weight: float = 1.0

    def __post_init__(self) -> None:
        if self.positive_weight <= 0:
            raise InputError(f"positive_weight must be positive, got {self.positive_weight}")

    def __call__(self, scores: Tensor, labels: Tensor) -> Tensor:
        """Mean over each query's documents, then over queries."""
        present = (labels != ABSENT).to(scores.dtype)
        relevant = (labels > 0).to(scores.dtype)
        each = F.binary_cross_entropy_with_logits(scores, relevant, reduction="none")  # (Q, N)
        weights = present * torch.where(relevant > 0, self.positive_weight, 1.0)
        return ((each * weights).sum(dim=1) / weights.sum(dim=1)).mean()


@dataclass(frozen=True)
class AnswerLikelihood:
    """Cross-entropy of the answer tokens of a generative network (monoT5, Nogueira et al. 2020).

    Sees the logits of the answers ``(Q, N, C)``, worst answer first: false and true, or ten digits.
    A label of ``highest_label`` wants the last answer, 0 the first, one between the nearest.
    """

    highest_label: float = 1.0
    reads_answers: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.highest_label <= 0:
            raise InputError(f"highest_label must be positive, got {self.highest_label}")

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Mean over each query's documents, then over queries."""
        present = (labels != ABSENT).to(logits.dtype)
        last = logits.shape[-1] - 1
        share = (labels.clamp(min=0) / self.highest_label).clamp(max=1)
        wanted = (share * last).round().long()  # (Q, N)
        each = -F.log_softmax(logits, dim=-1).gather(-1, wanted[..., None])[..., 0]
        return ((each * present).sum(dim=1) / present.sum(dim=1)).mean()


@dataclass(frozen=True)
class Poly1:
    """Softmax cross-entropy plus its first polynomial term (RankT5, Zhuang et al. 2023).

    ``weight`` times the probability that the list's target leaves elsewhere is added to the
    listwise loss.
    """

    weight: float = 1.0
    temperature: float = 1.0

    def __post_init__(self) -> None:
        if self.weight < 0:
            raise InputError(f"weight must not be negative, got {self.weight}")
        if self.temperature <= 0:
            raise InputError(f"temperature must be positive, got {self.temperature}")

    def __call__(self, scores: Tensor, labels: Tensor) -> Tensor:
        """Mean over queries."""
        log_share, target = _shares(scores / self.temperature, labels)
        missed = 1 - (target * log_share.exp()).sum(dim=1)
        return (-(target * log_share).sum(dim=1) + self.weight * missed).mean()


@dataclass(frozen=True)
class Listwise:
    """Localized contrastive estimation: softmax over a query's list (Gao et al. 2021).

    With several positives the target is spread over them in proportion to their labels.
    """

    temperature: float = 1.0

    def __post_init__(self) -> None:
        if self.temperature <= 0:
            raise InputError(f"temperature must be positive, got {self.temperature}")

    def __call__(self, scores: Tensor, labels: Tensor) -> Tensor:
        """Mean over queries."""
        log_share, target = _shares(scores / self.temperature, labels)
        return -(target * log_share).sum(dim=1).mean()


def _shares(scores: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Log-softmax of each list, 0 where no document is, and its target, both ``(Q, N)``."""
    present = labels != ABSENT
    gains = labels.clamp(min=0)
    target = gains / gains.sum(dim=1, keepdim=True)
    log_share = F.log_softmax(scores.masked_fill(~present, float("-inf")), dim=1)
    return log_share.masked_fill(~present, 0.0), target
