"""Token-budget batches, sorted by length, without padding."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import torch
from torch import Tensor

from recross.checkpoints.loaded import ModelConfig
from recross.inference.tokens import Ints, Sequences


@dataclass(frozen=True)
class PackedBatch:
    """Sequences end to end, longest first, as tensors on one device.

    ``groups`` are (how many sequences, their length), so that attention runs on each group of
    equal length without a mask.
    """

    tokens: Tensor  # (T,)
    segments: Tensor  # (T,)
    positions: Tensor  # (T,)
    starts: Tensor  # (B,) where each sequence's first token stands
    groups: list[tuple[int, int]]

    @classmethod
    def of(cls, sequences: Sequences, device: torch.device) -> PackedBatch:
        """Put sequences, already sorted longest first, on a device."""
        lengths = sequences.lengths
        within = np.arange(sequences.offsets[-1]) - np.repeat(sequences.offsets[:-1], lengths)
        return cls(
            tokens=torch.from_numpy(sequences.tokens).to(device),
            segments=torch.from_numpy(sequences.segments).to(device),
            positions=torch.from_numpy(within).to(device),
            starts=torch.from_numpy(sequences.offsets[:-1].copy()).to(device),
            groups=[(len(list(same)), length) for length, same in groupby(lengths.tolist())],
        )

    def to(self, device: torch.device) -> PackedBatch:
        """The same batch on another device."""
        return PackedBatch(
            self.tokens.to(device),
            self.segments.to(device),
            self.positions.to(device),
            self.starts.to(device),
            self.groups,
        )

    def __len__(self) -> int:
        return len(self.starts)

    def padded(self, filler: int) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens, segments and attention mask, each ``(B, L)``, for a network that pads.

        ``filler`` stands where a sequence has ended: the network's own padding token, since some
        look for it to know where that was.
        """
        longest = self.groups[0][1]
        shape = (len(self), longest)
        rows = torch.repeat_interleave(
            torch.arange(len(self), device=self.tokens.device),
            torch.tensor(
                [length for count, length in self.groups for _ in range(count)],
                device=self.tokens.device,
            ),
        )
        tokens = self.tokens.new_full(shape, filler)
        segments, mask = (self.tokens.new_zeros(shape) for _ in range(2))
        tokens[rows, self.positions] = self.tokens
        segments[rows, self.positions] = self.segments
        mask[rows, self.positions] = 1
        return tokens, segments, mask


def find_padding_token(config: ModelConfig) -> int | None:
    """The token that a model of transformers takes for padding; ``None`` where it knows none."""
    token: int | None = config.get_text_config().pad_token_id
    return token


def find_masked_filler(config: ModelConfig) -> int:
    """What to pad with where the attention mask alone says what is read: any token will do."""
    return find_padding_token(config) or 0


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
