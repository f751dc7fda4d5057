"""Losses that bring a network near its teacher: targets are the teacher's scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from recross.parts.bounds import Gt, checked
from recross.training.losses.loss import (
    Lists,
    Loss,
    log_shares,
    mean_over_queries,
)
from recross.training.losses.ranks import approximate_ranks, ranks

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class TeacherMSE(Loss):
    """Squared difference from the teacher's score (sentence-transformers' MS MARCO models)."""

    learns_from_teacher: ClassVar[bool] = True

    def __call__(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Mean over each query's documents, then over queries."""
        lists = Lists.of(scores, targets)
        return mean_over_queries((lists.scores - lists.targets).square(), lists.present)


@dataclass(frozen=True)
class MarginMSE(Loss):
    """Squared difference of the network's margins from the teacher's (Hofstätter et al. 2020).

    The first document of a list is its positive; margins are its score less that of each other
    document. A network that compares documents learns them by ``TeacherMSE``: the teacher's score
    of a pair is its margin.
    """

    learns_from_teacher: ClassVar[bool] = True

    def __call__(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Mean over each query's margins, then over queries."""
        lists = Lists.of(scores, targets)
        missing = lists.scores - lists.targets
        each = (missing[:, :1] - missing[:, 1:]).square()  # (Q, N - 1)
        return mean_over_queries(each, lists.present[:, :1] & lists.present[:, 1:])


@dataclass(frozen=True)
@checked
class TeacherKL(Loss):
    """Kullback-Leibler divergence of the network's list from the teacher's.

    Both are softmaxes at ``temperature`` (Hinton et al. 2015), the teacher's at one of its own
    where its scores are of another scale, as cosines are. The value is not multiplied by the
    square of the temperature.
    """

    temperature: Annotated[float, Gt(0)] = 1.0
    teacher_temperature: Annotated[float, Gt(0)] | None = None
    learns_from_teacher: ClassVar[bool] = True

    def __call__(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Return the divergence from the teacher's distribution, a mean over queries."""
        lists = Lists.of(scores, targets)
        network_shares = log_shares(lists.scores / self.temperature, lists.present)
        teacher_temperature = self.teacher_temperature or self.temperature
        teacher_shares = log_shares(lists.targets / teacher_temperature, lists.present)
        divergences = (teacher_shares.exp() * (teacher_shares - network_shares)).sum(dim=1)
        return divergences.mean()


@dataclass(frozen=True)
@checked
class DiscountedRankMSE(Loss):
    """Squared difference of approximate ranks from the teacher's (ADR-MSE, Schlatt et al. 2025).

    Ranks of the network are sums of sigmoids of score differences in units of ``temperature``; a
    document at the teacher's rank ``r`` weighs ``1 / log2(1 + r)``. Only the order of the
    teacher's scores matters; equal ones are in order as the list has them.
    """

    temperature: Annotated[float, Gt(0)] = 1.0
    learns_from_teacher: ClassVar[bool] = True

    def __call__(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Mean over each query's documents, then over queries."""
        lists = Lists.of(scores, targets)
        teacher_ranks = ranks(lists.targets, lists.present)
        network_ranks = approximate_ranks(lists.scores, lists.present, self.temperature)
        errors = (network_ranks - teacher_ranks).square() / (1.0 + teacher_ranks).log2()
        return mean_over_queries(errors, lists.present)
