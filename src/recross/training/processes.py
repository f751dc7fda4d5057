"""The processes that share a training, as one of them sees them."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import cast

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel


class Processes:
    """Which of the processes this one is, what of some work is its own, and sums over all."""

    def __init__(self, trainer: pl.Trainer) -> None:
        self._trainer = trainer

    @property
    def count(self) -> int:
        """How many processes there are."""
        return self._trainer.world_size

    @property
    def rank(self) -> int:
        """The number of this process, from 0."""
        return self._trainer.global_rank

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that writes files."""
        return self._trainer.is_global_zero

    @property
    def device(self) -> torch.device:
        """The device of this process."""
        return self._trainer.strategy.root_device

    def share(self, items: int) -> range:
        """Numbers of the items that are this process's own: every ``count``-th, from its rank."""
        return range(self.rank, items, self.count)

    def add_up(self, values: Tensor) -> Tensor:
        """Return the sum of the values of all processes, in each of them."""
        total: Tensor = self._trainer.strategy.reduce(values, reduce_op="sum")
        return total

    def share_gradients(self, *, is_last: bool) -> AbstractContextManager[None]:
        """Share gradients in the backward pass of a step's last value, and of no other.

        Processes hold unequal numbers of micro-batches, so that they meet at the last one.
        """
        if is_last or self.count == 1:
            return nullcontext()
        return cast(DistributedDataParallel, self._trainer.model).no_sync()
