"""A checkpoint as a value: the result of a training, wherever and whenever that is done."""

from __future__ import annotations

from dataclasses import dataclass

from recross.collections.collection import CollectionSource
from recross.errors import InputError
from recross.parts.bounds import Seed, checked
from recross.rerankers.reranker import Trainable
from recross.rerankers.unmade import UnmadeCheckpoint
from recross.retrieval.retriever import Retriever
from recross.training.data.training_data import TrainingData
from recross.training.losses.loss import Loss
from recross.training.recipe import FineTuning
from recross.training.teaching import Teacher, check_teacher


@dataclass(frozen=True)
@checked
class Trained(UnmadeCheckpoint):
    """The checkpoint that a training of ``reranker`` leaves, found in the store or made.

    An experiment trains what its parts are made of before it uses them, and an equal training, of
    whichever experiment, gives the same checkpoint. What is not said here is as in the experiment
    that asks: the splits, ``leaks``, and where they are ``None`` the ``collection``, the
    ``retriever`` on whose candidates checkpoints are chosen, and the ``seed``.
    """

    reranker: Trainable
    training: FineTuning
    loss: Loss
    training_data: TrainingData
    teacher: Teacher | None = None
    collection: CollectionSource | None = None
    retriever: Retriever | None = None
    seed: Seed | None = None

    def __post_init__(self) -> None:
        if not self.reranker.can_be_trained:
            kind = type(self.reranker).__name__
            raise InputError(f"reranker must have a network to train, got {kind}")
        check_teacher(self.loss, self.teacher, self.training_data.may_be_taught)

    @property
    def base_checkpoint(self) -> str:
        """The checkpoint whose weights learn first of all."""
        return str(self.reranker.base_checkpoint)
