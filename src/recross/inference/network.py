"""What the engine asks of a network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from torch import Tensor

from recross.inference.batches import PackedBatch
from recross.inference.session import Session
from recross.inference.tokens import Item, Sequences

Forward = Callable[[PackedBatch], Tensor]
"""Scores a batch, ``(B,)``, in its order."""


class Network(Protocol):
    """What a network says of itself; the engine owns the rest."""

    def encode(
        self, queries: Sequence[str], documents: Sequence[str], items: Sequence[Item]
    ) -> Sequences:
        """Turn items of (query number, document number, ...) into token sequences."""

    def inference(self, session: Session) -> Forward:
        """Return a fast scorer of the weights as they are now, on the current device."""
