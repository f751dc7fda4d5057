"""Who scores the groups that a student learns from, and how it learned to."""

from __future__ import annotations

from dataclasses import dataclass

from recross.errors import InputError
from recross.rerankers.reranker import Reranker
from recross.training.losses.loss import Loss
from recross.training.recipe import Training


@dataclass(frozen=True)
class Teacher:
    """A re-ranker to learn from, as it is or trained first.

    With a ``training`` it learns from the same groups as the student, by ``loss``; an experiment
    of its own with the same parts shares the checkpoint.
    """

    reranker: Reranker
    training: Training
    loss: Loss

    def __post_init__(self) -> None:
        if self.training.enabled and self.loss.learns_from_teacher:
            raise InputError(
                "teacher.loss must be one over labels: a teacher has no teacher of its own,"
                f" got {type(self.loss).__name__}"
            )
