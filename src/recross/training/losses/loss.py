"""What a loss is, and the lists of unequal length that every loss is given."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor

ABSENT = float("-inf")
"""The target of a place that holds no document."""


class Loss(ABC):
    """Scores ``(Q, N)`` and targets ``(Q, N)`` to one number, a mean over queries.

    Targets are labels, higher is more relevant, or the scores of a teacher. A target of ``ABSENT``
    marks a place without a document, for queries with fewer documents than others: whatever score
    stands there has no influence on the value or the gradient. A query that has nothing to teach,
    as one without a relevant document or without a pair, counts as 0.
    """

    @property
    def learns_from_teacher(self) -> bool:
        """Whether targets are the teacher's scores; else they are labels."""
        return False

    @property
    def reads_answers(self) -> bool:
        """Whether it is given the logits of the answers ``(Q, N, C)`` in place of scores."""
        return False

    @abstractmethod
    def __call__(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Return the value to minimise, a mean over queries."""

    def of(self, scores: Tensor, labels: Tensor, teacher_scores: Tensor) -> Tensor:
        """Return the value for the targets that the loss learns from."""
        return self(scores, teacher_scores if self.learns_from_teacher else labels)


class Lists(NamedTuple):
    """Scores and targets with 0 where no document is, and which places hold one, all ``(Q, N)``."""

    scores: Tensor
    targets: Tensor
    present: Tensor

    @classmethod
    def of(cls, scores: Tensor, targets: Tensor) -> Lists:
        """Tell documents from absent places, whose scores and targets are forgotten."""
        present = targets != ABSENT
        return cls(
            scores.masked_fill(~present, 0.0),
            targets.masked_fill(~present, 0.0).to(scores.dtype),
            present,
        )

    @property
    def preferred(self) -> Tensor:
        """Pairs ``(Q, N, N)`` whose row has the higher target than their column."""
        both = self.present.unsqueeze(2) & self.present.unsqueeze(1)
        return both & (self.targets.unsqueeze(2) > self.targets.unsqueeze(1))

    @property
    def margins(self) -> Tensor:
        """Score of the row less that of the column, ``(Q, N, N)``."""
        return self.scores.unsqueeze(2) - self.scores.unsqueeze(1)


def log_shares(values: Tensor, present: Tensor) -> Tensor:
    """Log-softmax over the documents of each list ``(Q, N)``, 0 where there is none."""
    import torch
    import torch.nn.functional as F

    # The lowest number, not -inf, which would make the softmax of an empty list no number.
    lowest = torch.finfo(values.dtype).min
    shares = F.log_softmax(values.masked_fill(~present, lowest), dim=1)
    return shares.masked_fill(~present, 0.0)


def mean_over_queries(values: Tensor, counted: Tensor) -> Tensor:
    """Mean of each query's counted values, 0 where none counts; then the mean over queries.

    Both arguments are ``(Q, N)`` or ``(Q, N, N)``.
    """
    totals = values.masked_fill(~counted, 0.0).flatten(1).sum(dim=1)  # (Q,)
    return (totals / counted.flatten(1).sum(dim=1).clamp(min=1)).mean()
