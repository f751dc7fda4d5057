"""Several losses at once, such as one over labels beside one over a teacher's scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from recross.errors import InputError
from recross.parts.bounds import Filled, Gt, checked
from recross.training.losses.loss import Loss

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
@checked
class Term:
    """A loss and what its value is multiplied by."""

    loss: Loss
    weight: Annotated[float, Gt(0)] = 1.0

    def __post_init__(self) -> None:
        if isinstance(self.loss, WeightedSum):
            raise InputError("loss must be one without terms of its own, got a WeightedSum")
        if self.loss.reads_answers:
            name = type(self.loss).__name__
            raise InputError(f"loss must be one over scores, as the others are, got {name}")


@dataclass(frozen=True)
@checked
class WeightedSum(Loss):
    """Each term learns from its own targets (distillation beside labels, Hinton et al. 2015)."""

    terms: Annotated[Mapping[str, Term], Filled("hold at least one loss")]

    @property
    def learns_from_teacher(self) -> bool:
        """Whether at least one term learns from a teacher's scores."""
        return any(term.loss.learns_from_teacher for term in self.terms.values())

    def __call__(self, scores: Tensor, targets: Tensor) -> Tensor:
        """The weighted sum of all terms, with the same targets for each."""
        return self.of(scores, targets, targets)

    def of(self, scores: Tensor, labels: Tensor, teacher_scores: Tensor) -> Tensor:
        """The weighted sum, each term with the targets it learns from."""
        values = [
            term.weight
            * term.loss(scores, teacher_scores if term.loss.learns_from_teacher else labels)
            for term in self.terms.values()
        ]
        return sum(values[1:], start=values[0])
