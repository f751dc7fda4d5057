"""The losses of steps, which on a GPU are read many at a time: each time it is waited for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

READ_EVERY = 25
"""Steps whose losses stay on a GPU together."""


class Recorded(NamedTuple):
    """What a step is recorded with."""

    step: int
    loss: float
    learning_rate: float


class RecordedLosses:
    """Losses that have been computed and not been read, oldest first."""

    def __init__(self) -> None:
        self._waiting: list[tuple[int, Tensor, float]] = []

    def add(self, step: int, loss: Tensor, learning_rate: float) -> None:
        """Take in the loss of a step, wherever it is."""
        self._waiting.append((step, loss.detach(), learning_rate))

    def __len__(self) -> int:
        return len(self._waiting)

    def read(self) -> Iterator[Recorded]:
        """Yield what was not read before, all of it fetched at once."""
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        losses = torch.stack([loss for _, loss, _ in waiting]).tolist()
        for (step, _, rate), loss in zip(waiting, losses, strict=True):
            yield Recorded(step, loss, rate)
