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


def check_teacher(loss: Loss, teacher: Teacher | None, may_be_taught: bool) -> None:
    """Refuse a loss without the teacher that it learns from, and a teacher that nobody asks.

    Groups that ``may_be_taught`` can bring a teacher's scores: whether they do is seen once they
    are read.

    Raises:
        InputError: the loss lacks a teacher, or has one that it does not use.
    """
    learns = loss.learns_from_teacher
    if learns != (teacher is not None) and not (learns and may_be_taught):
        needs = "a teacher" if learns else "no teacher (teacher=null)"
        given = "none" if teacher is None else type(teacher.reranker).__name__
        raise InputError(f"loss {type(loss).__name__} needs {needs}, got {given}")
