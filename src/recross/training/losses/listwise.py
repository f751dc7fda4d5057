"""Losses over a query's whole list, as a distribution or an order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from recross.parts.bounds import Ge, Gt, checked
from recross.training.losses.loss import Lists, Loss, log_shares
from recross.training.losses.ranks import before

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
@checked
class Listwise(Loss):
    """Localized contrastive estimation: softmax over a query's list (Gao et al. 2021).

    With several positives the target is spread over them in proportion to their labels.
    """

    temperature: Annotated[float, Gt(0)] = 1.0

    def __call__(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Return the cross-entropy with the labels' shares, a mean over queries."""
        lists = Lists.of(scores, targets)
        logs = log_shares(lists.scores / self.temperature, lists.present)
        return -(_share_gains(lists.targets) * logs).sum(dim=1).mean()


@dataclass(frozen=True)
@checked
class Poly1(Loss):
    """Softmax cross-entropy plus its first polynomial term (RankT5, Zhuang et al. 2023).

    ``weight`` times the probability that the list's target leaves elsewhere is added to the
    listwise loss.
    """

    weight: Annotated[float, Ge(0)] = 1.0
    temperature: Annotated[float, Gt(0)] = 1.0

    def __call__(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Return the cross-entropy plus the weighted first-order term, a mean over queries."""
        lists = Lists.of(scores, targets)
        logs = log_shares(lists.scores / self.temperature, lists.present)
        wanted = _share_gains(lists.targets)
        # The target's own total in place of 1: a query without a relevant document misses nothing.
        missed = wanted.sum(dim=1) - (wanted * logs.exp()).sum(dim=1)
        return (-(wanted * logs).sum(dim=1) + self.weight * missed).mean()


@dataclass(frozen=True)
@checked
class ListNet(Loss):
    """Cross-entropy of the top-one probabilities of labels and scores (Cao et al. 2007).

    Both are softmaxes, so that documents of label 0 keep a part of the target. ``temperature`` is
    that of the scores.
    """

    temperature: Annotated[float, Gt(0)] = 1.0

    def __call__(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Return the cross-entropy with the softmax of the targets, a mean over queries."""
        lists = Lists.of(scores, targets)
        logs = log_shares(lists.scores / self.temperature, lists.present)
        wanted = log_shares(lists.targets, lists.present).exp()
        return -(wanted * logs).sum(dim=1).mean()


@dataclass(frozen=True)
@checked
class ListMLE(Loss):
    """Likelihood of the labels' order when documents are drawn one after another (Xia et al. 2008).

    The documents are drawn without replacement, each by a softmax over those that are left
    (Plackett-Luce). Equal labels are in order as the list has them.
    """

    temperature: Annotated[float, Gt(0)] = 1.0

    def __call__(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Sum over each query's draws, then mean over queries."""
        import torch

        lists = Lists.of(scores, targets)
        values = lists.scores / self.temperature
        left = lists.present.unsqueeze(1) & ~before(lists.targets, lists.present)  # (Q, N, N)
        lowest = torch.finfo(values.dtype).min
        chances = values.unsqueeze(1).masked_fill(~left, lowest).logsumexp(dim=2) - values
        return chances.masked_fill(~lists.present, 0.0).sum(dim=1).mean()


def _share_gains(labels: Tensor) -> Tensor:
    """Each document's part of its query's labels ``(Q, N)``; all 0 where none is relevant."""
    gains = labels.clamp(min=0)
    total = gains.sum(dim=1, keepdim=True)
    return gains / total.masked_fill(total == 0, 1.0)
