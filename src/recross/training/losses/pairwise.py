"""Losses over the pairs of a query's documents whose targets differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from recross.parts.bounds import Gt, checked
from recross.training.losses.loss import Lists, Loss, mean_over_queries

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
@checked
class MarginRanking(Loss):
    """Hinge: what a better document's lead lacks of ``margin`` (Herbrich et al. 2000).

    Bites only where a pair is in the wrong order or too close.
    """

    margin: Annotated[float, Gt(0)] = 1.0

    def __call__(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Mean over each query's pairs, then over queries."""
        import torch.nn.functional as F

        lists = Lists.of(scores, targets)
        return mean_over_queries(F.relu(self.margin - lists.margins), lists.preferred)


@dataclass(frozen=True)
@checked
class RankNet(Loss):
    """Logistic loss of every pair's order (Burges et al. 2005).

    The probability that a pair is in order is the sigmoid of ``sigma`` times the difference of its
    scores. With ``learns_from_teacher`` the order is that of a teacher's scores, however far apart
    they are, as language models are distilled from their rankings (RankGPT, Sun et al. 2023;
    Rank-DistiLLM, Schlatt et al. 2025). Pairs of equal targets say nothing.
    """

    sigma: Annotated[float, Gt(0)] = 1.0
    learns_from_teacher: bool = False

    def __call__(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Mean over each query's pairs, then over queries."""
        import torch.nn.functional as F

        lists = Lists.of(scores, targets)
        return mean_over_queries(F.softplus(-self.sigma * lists.margins), lists.preferred)
