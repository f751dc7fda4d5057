"""Token sequences end to end, and how they are divided into batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Protocol, Self, TypeVar

import numpy as np
import numpy.typing as npt
import torch

from recross.inference.batches import NetworkBatch, PackedBatch
from recross.records import Cost

Ints = npt.NDArray[np.int64]
_Read = TypeVar("_Read", bound=NetworkBatch, covariant=True)


class Encoded(Protocol[_Read]):
    """Items as tokens, of which any can be taken and read by a network as one batch."""

    @property
    def lengths(self) -> Ints:
        """What each item counts for in a batch, in tokens, ``(B,)``."""

    @property
    def lost(self) -> Ints:
        """Tokens that were cut from each text of each item, the query's first, ``(B, texts)``."""

    def take(self, which: Ints) -> Self:
        """These items, in this order."""

    def on(self, device: torch.device) -> _Read:
        """These items, already sorted longest first, as a batch on a device."""


@dataclass(frozen=True)
class Sequences:
    """Token sequences end to end; ``offsets`` ``(B + 1,)`` says where each begins.

    ``lost`` are the tokens that were cut from each text of a sequence, the query's first.
    """

    tokens: Ints  # (T,)
    segments: Ints  # (T,)
    offsets: Ints  # (B + 1,)
    lost: Ints  # (B, texts)

    @classmethod
    def of(cls, rows: Sequence[Sequence[int]], lost: Ints) -> Sequences:
        """The tokens of each row as a sequence, all of one segment."""
        tokens = np.fromiter((token for row in rows for token in row), np.int64)
        offsets = np.cumsum([0, *map(len, rows)]).astype(np.int64)
        return cls(tokens, np.zeros_like(tokens), offsets, lost)

    @property
    def lengths(self) -> Ints:
        """Tokens of each sequence, ``(B,)``."""
        return np.diff(self.offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def take(self, which: Sequence[int] | Ints) -> Sequences:
        """These sequences, in this order."""
        which = np.asarray(which, dtype=np.int64)
        indices, offsets = lay_out_spans(self.offsets[which], self.lengths[which])
        return Sequences(self.tokens[indices], self.segments[indices], offsets, self.lost[which])

    def on(self, device: torch.device) -> PackedBatch:
        """These sequences, already sorted longest first, as a batch on a device."""
        lengths = self.lengths
        within = np.arange(self.offsets[-1]) - np.repeat(self.offsets[:-1], lengths)
        return PackedBatch(
            tokens=torch.from_numpy(self.tokens).to(device),
            segments=torch.from_numpy(self.segments).to(device),
            positions=torch.from_numpy(within).to(device),
            starts=torch.from_numpy(self.offsets[:-1].copy()).to(device),
            groups=[(len(list(same)), length) for length, same in groupby(lengths.tolist())],
        )


def count_cuts(lost: Ints) -> Cost:
    """How many queries and documents of items were cut, and by how much."""
    return Cost(
        cut_queries=int((lost[:, 0] > 0).sum()),
        cut_documents=int((lost[:, 1:] > 0).sum()),
        cut_tokens=int(lost.sum()),
    )


def by_length(lengths: Ints) -> Ints:
    """Order that puts the longest first and keeps equal lengths together."""
    return np.argsort(-lengths, kind="stable")


def token_budget(lengths: Ints, budget: int | Callable[[], int]) -> Iterator[Ints]:
    """Split sequences into batches of at most ``budget`` tokens, longest first.

    A budget that may change is asked for before every batch. A sequence longer than the budget
    makes a batch of its own.
    """
    order = by_length(lengths)
    ends = np.cumsum(lengths[order])
    start, done = 0, 0
    while start < len(order):
        most = budget if isinstance(budget, int) else budget()
        stop = max(int(np.searchsorted(ends, done + most, side="right")), start + 1)
        yield order[start:stop]
        start, done = stop, int(ends[stop - 1])


def lay_out_spans(begins: Ints, lengths: Ints) -> tuple[Ints, Ints]:
    """Return the indices of spans laid end to end, and where each span then begins ``(n + 1,)``.

    Spans that begin at ``5, 0`` and are ``2, 3`` long have the indices ``5 6 0 1 2`` and then begin
    at ``0, 2, 5``.
    """
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return np.arange(offsets[-1]) + np.repeat(begins - offsets[:-1], lengths), offsets
