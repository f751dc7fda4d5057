"""Losses that look at each document alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from recross.parts.bounds import Gt, checked
from recross.training.losses.loss import ABSENT, Lists, Loss, mean_over_queries

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
@checked
class Pointwise(Loss):
    """Binary cross-entropy of every document on its own (monoBERT, Nogueira & Cho 2019).

    A document is relevant if its label is above 0; it weighs ``positive_weight`` times as much as
    one that is not.
    """

    positive_weight: Annotated[float, Gt(0)] = 1.0

    def __call__(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Mean over each query's documents, then over queries."""
        import torch
        import torch.nn.functional as F

        lists = Lists.of(scores, targets)
        relevant = lists.targets > 0
        each = F.binary_cross_entropy_with_logits(
            lists.scores, relevant.to(scores.dtype), reduction="none"
        )  # (Q, N)
        weights = torch.where(relevant, self.positive_weight, 1.0) * lists.present
        total = weights.sum(dim=1)
        return ((each * weights).sum(dim=1) / total.masked_fill(total == 0, 1.0)).mean()


@dataclass(frozen=True)
@checked
class AnswerLikelihood(Loss):
    """Cross-entropy of a network's answers: classes of BERT or answer tokens of a language model.

    With two answers it is the loss of monoBERT (Nogueira & Cho 2019) and of monoT5 (Nogueira et
    al. 2020). It is given the logits of the answers ``(Q, N, C)``, worst answer first: false and
    true, or ten digits. A label of ``highest_label`` wants the last answer, 0 the first, one
    between the nearest.
    """

    highest_label: Annotated[float, Gt(0)] = 1.0
    reads_answers: ClassVar[bool] = True

    def __call__(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Mean over each query's documents, then over queries."""
        import torch.nn.functional as F

        present = targets != ABSENT
        logits = scores.masked_fill(~present.unsqueeze(2), 0.0)
        share = (targets.clamp(min=0) / self.highest_label).clamp(max=1)
        wanted = (share * (logits.shape[2] - 1)).round().long()  # (Q, N)
        each = -F.log_softmax(logits, dim=2).gather(2, wanted.unsqueeze(2)).squeeze(2)
        return mean_over_queries(each, present)
