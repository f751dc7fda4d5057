"""Losses that stand for nDCG."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from recross.parts.bounds import Ge, Gt, checked
from recross.training.losses.loss import Lists, Loss
from recross.training.losses.ranks import approximate_ranks, ranks

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
@checked
class LambdaLoss(Loss):
    """NDCG-Loss2++ of the LambdaLoss framework (Wang et al. 2018), in bits.

    Every pair pays its logistic loss, ``sigma`` steep, times what its order is worth in nDCG: the
    exchange of its ranks, as in LambdaRank, plus ``mu`` times a bound that depends on how many
    ranks apart it is. Ranks are those of the scores at hand, equal scores in the order of the list.
    With ``depth`` only pairs that both rank so high count.
    """

    sigma: Annotated[float, Gt(0)] = 1.0
    mu: Annotated[float, Ge(0)] = 10.0
    depth: Annotated[int, Ge(2)] | None = None

    def __call__(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Sum over each query's pairs, then mean over queries."""
        import torch.nn.functional as F

        lists = Lists.of(scores, targets)
        rank = ranks(lists.scores.detach(), lists.present)
        pairs = lists.preferred
        if self.depth is not None:
            within = rank <= self.depth
            pairs = pairs & within.unsqueeze(2) & within.unsqueeze(1)
        bits = F.softplus(-self.sigma * lists.margins) / math.log(2)  # (Q, N, N)
        each = (bits * self._compute_worth(lists, rank)).masked_fill(~pairs, 0.0)
        return each.sum(dim=(1, 2)).mean()

    def _compute_worth(self, lists: Lists, rank: Tensor) -> Tensor:
        gains = _normalise_gains(lists, self.depth)
        gap = (rank.unsqueeze(2) - rank.unsqueeze(1)).abs().clamp(min=1)  # (Q, N, N)
        exchange = (
            _compute_discount(rank).unsqueeze(2) - _compute_discount(rank).unsqueeze(1)
        ).abs()
        bound = _compute_discount(gap) - _compute_discount(gap + 1)
        return (exchange + self.mu * bound) * (gains.unsqueeze(2) - gains.unsqueeze(1)).abs()


@dataclass(frozen=True)
@checked
class ApproxNDCG(Loss):
    """What approximate nDCG lacks of 1 (Qin et al. 2010).

    Ranks are sums of sigmoids of score differences in units of ``temperature``, the inverse of the
    paper's alpha: the lower, the nearer to nDCG and the flatter the loss.
    """

    temperature: Annotated[float, Gt(0)] = 1.0

    def __call__(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Return 1 minus the approximate nDCG, a mean over queries."""
        lists = Lists.of(scores, targets)
        rank = approximate_ranks(lists.scores, lists.present, self.temperature)
        ndcg = (_normalise_gains(lists, None) * _compute_discount(rank)).sum(dim=1)
        return (1 - ndcg).masked_fill((lists.targets <= 0).all(dim=1), 0.0).mean()


def _normalise_gains(lists: Lists, depth: int | None) -> Tensor:
    """``2^label - 1`` over the ideal DCG, ``(Q, N)``; all 0 where none is relevant."""
    gains = lists.targets.clamp(min=0).exp2() - 1
    ideal = ranks(lists.targets, lists.present)
    best = gains * _compute_discount(ideal)
    if depth is not None:
        best = best.masked_fill(ideal > depth, 0.0)
    total = best.sum(dim=1, keepdim=True)
    return gains / total.masked_fill(total == 0, 1.0)


def _compute_discount(rank: Tensor) -> Tensor:
    return 1 / (1.0 + rank).log2()
