"""Losses over lists: scores ``(Q, N)`` and labels ``(Q, N)`` to one number.

A label of ``ABSENT`` marks a place that holds no document, for queries with fewer documents than
others; it has no part in any loss. Every loss is a mean over queries.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

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
        present = labels != ABSENT
        gains = labels.clamp(min=0)
        target = gains / gains.sum(dim=1, keepdim=True)  # (Q, N)
        logits = (scores / self.temperature).masked_fill(~present, float("-inf"))
        log_share = F.log_softmax(logits, dim=1).masked_fill(~present, 0.0)
        return -(target * log_share).sum(dim=1).mean()
