"""Token sequences end to end, and how they are divided into batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol, Self, TypeVar

import numpy as np
import torch
from torch import Tensor

from recross.inference.arrival import copy_to, name_device
from recross.inference.batches import NetworkBatch, PackedBatch
from recross.inference.layout import Layout, group_lengths
from recross.inference.spans import Ints
from recross.inference.texts.token_ids import TokenArray
from recross.records import Cost

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
class TokenPool:
    """Token ids that sequences are made of, ``(T,)`` of any whole type, once on every device."""

    ids: TokenArray
    _copies: dict[torch.device, Tensor] = field(default_factory=dict, compare=False, repr=False)

    def on(self, device: torch.device) -> Tensor:
        """The ids on a device, as signed numbers of their own width; copied at the first call."""
        place = name_device(device)
        if place not in self._copies:
            signed = np.dtype(f"i{self.ids.itemsize}")  # what every torch gathers on every device
            self._copies[place] = copy_to(torch.from_numpy(self.ids.view(signed)), place)
        return self._copies[place]

    def gather(self, indices: Tensor) -> Tensor:
        """The ids at these places, on the device of the places."""
        every_bit = int(np.iinfo(f"u{self.ids.itemsize}").max) if self.ids.itemsize < 8 else -1
        return self.on(indices.device)[indices].long() & every_bit


@dataclass(frozen=True)
class Sequences:
    """Token sequences of ``P`` pieces each, which lie in one pool of token ids.

    ``begins`` and ``counts`` say where each piece begins in the pool and how many of its tokens are
    taken; tokens of piece ``p`` are of the segment ``piece_segments[p]``. So ``[CLS] query [SEP]
    document [SEP]`` has five pieces, and the pool holds every text once, however many sequences it
    is part of. ``lost`` are the tokens that were cut from each text, the query's first. The first
    ``shared`` tokens of all sequences are known to be alike; each has more.
    """

    pool: TokenPool
    begins: Ints  # (B, P)
    counts: Ints  # (B, P)
    piece_segments: tuple[int, ...]  # (P,)
    lost: Ints  # (B, texts)
    shared: int = 0

    @classmethod
    def of(cls, rows: Sequence[Sequence[int]], lost: Ints) -> Sequences:
        """The tokens of each row as a sequence, all of one segment."""
        ids = np.fromiter((token for row in rows for token in row), np.int64)
        counts = np.fromiter(map(len, rows), np.int64).reshape(-1, 1)
        begins = counts.cumsum(axis=0) - counts
        return cls(TokenPool(ids), begins, counts, (0,), lost, _count_shared(rows))

    @classmethod
    def end_to_end(cls, first: Sequences, second: Sequences) -> Sequences:
        """The sequences of both, of pieces of the same segments."""
        shift = len(first.pool.ids)
        return cls(
            TokenPool(np.concatenate([first.pool.ids, second.pool.ids])),
            np.concatenate([first.begins, second.begins + shift]),
            np.concatenate([first.counts, second.counts]),
            first.piece_segments,
            np.concatenate([first.lost, second.lost]),
        )

    @cached_property
    def lengths(self) -> Ints:
        """Tokens of each sequence, ``(B,)``."""
        lengths: Ints = self.counts.sum(axis=1)
        return lengths

    @property
    def offsets(self) -> Ints:
        """Where each sequence begins when all lie end to end, and where they end, ``(B + 1,)``."""
        return np.concatenate([[0], self.lengths.cumsum()]).astype(np.int64)

    @property
    def tokens(self) -> Ints:
        """The tokens of all sequences end to end, ``(T,)``."""
        return self.on(torch.device("cpu")).tokens.numpy()

    def __len__(self) -> int:
        return len(self.counts)

    def take(self, which: Sequence[int] | Ints) -> Sequences:
        """These sequences, in this order."""
        rows = np.asarray(which, dtype=np.int64)
        return Sequences(
            self.pool,
            self.begins[rows],
            self.counts[rows],
            self.piece_segments,
            self.lost[rows],
            self.shared,
        )

    def on(self, device: torch.device) -> PackedBatch:
        """These sequences, already sorted longest first, as a batch on a device.

        Where its tokens lie in the pool is all that is copied to the device; they are joined there.
        """
        spans = np.stack([self.begins.ravel(), self.counts.ravel()])
        begins, counts = copy_to(torch.from_numpy(spans), device)
        offsets = copy_to(torch.from_numpy(self.offsets), device)
        total = int(self.lengths.sum())
        pieces, every = (
            torch.arange(counts.numel(), device=device),
            torch.arange(total, device=device),
        )
        piece = torch.repeat_interleave(pieces, counts, output_size=total)  # (T,)
        shifts = begins - (counts.cumsum(0) - counts)
        segments = copy_to(torch.tensor(self.piece_segments), device)
        return PackedBatch(
            tokens=self.pool.gather(every + shifts[piece]),
            segments=segments[piece % len(segments)],
            positions=every - offsets[piece // len(segments)],
            starts=offsets[:-1],
            layout=Layout.of(group_lengths(self.lengths.tolist()), offsets, self.shared),
        )


def _count_shared(rows: Sequence[Sequence[int]]) -> int:
    """With how many tokens all of several rows begin, at most all but the last of the shortest."""
    if len(rows) < 2 or (most := min(map(len, rows)) - 1) < 1:
        return 0
    first, last = (
        min(rows, key=tuple),
        max(rows, key=tuple),
    )  # what these two share, all between them share
    pairs = zip(first[:most], last[:most], strict=True)
    return next((place for place, (one, other) in enumerate(pairs) if one != other), most)


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
