"""What an optimiser step is, and what it learns with."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, Self, TypeVar

import torch
from torch import Tensor

from recross.inference.network import Network
from recross.training.losses.loss import Loss
from recross.training.processes import Processes

_Item = TypeVar("_Item")


class Learner(Protocol):
    """A network in training, what it minimises, and the processes that share the work."""

    network: Network
    loss: Loss
    first_stage_weight: float

    @property
    def processes(self) -> Processes:
        """The processes of the training, of which this is one."""

    def seed_dropout(self, part_of_step: str = "") -> None:
        """Draw the dropout of the current step, or of a named part of it, from its own seed."""

    def compute(self, function: Callable[..., Tensor], *inputs: object) -> Tensor:
        """Return what a function computes with the network; processes ask equally often."""

    def add_gradients(self, value: Tensor, *, is_last: bool) -> None:
        """Add the gradients of a value; with the step's last one, processes share theirs."""


class Learned(NamedTuple):
    """The value of the loss, and what this process read for it."""

    loss: Tensor
    pairs: int
    tokens: int


def repeat_last(items: Sequence[_Item], count: int) -> list[_Item]:
    """Return ``count`` items, the last of fewer again and again: passes that teach nothing."""
    return [items[min(number, len(items) - 1)] for number in range(count)]


class Step(ABC):
    """What one update of the weights learns from, in this process."""

    @abstractmethod
    def to(self, device: torch.device) -> Self:
        """The same step with all that it reads on a device; a copy to a GPU is not waited for."""

    @abstractmethod
    def learn(self, learner: Learner) -> Learned:
        """Add the gradients of the step's loss to those of the network."""
