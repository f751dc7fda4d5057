"""Batches of token sequences on one device, without padding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import torch
from torch import Tensor

from recross.checkpoints.loaded import ModelConfig
from recross.inference.arrival import copy_to
from recross.inference.layout import Groups, Layout, group_lengths


class NetworkBatch(Protocol):
    """What a network reads at once, on one device."""

    def to(self, device: torch.device) -> Self:
        """The same batch on another device."""


@dataclass(frozen=True)
class PackedBatch:
    """Sequences end to end, longest first, as tensors on one device.

    ``layout`` says how they lie, so that attention needs no mask.
    """

    tokens: Tensor  # (T,)
    segments: Tensor  # (T,)
    positions: Tensor  # (T,)
    starts: Tensor  # (B,) where each sequence's first token stands
    layout: Layout

    def to(self, device: torch.device) -> PackedBatch:
        """The same batch on another device."""
        return PackedBatch(
            copy_to(self.tokens, device),
            copy_to(self.segments, device),
            copy_to(self.positions, device),
            copy_to(self.starts, device),
            self.layout.to(device),
        )

    @property
    def groups(self) -> Groups:
        """(How many sequences, their length), in the order in which they stand."""
        return self.layout.groups

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def lasts(self) -> Tensor:
        """Where each sequence's last token stands, ``(B,)``."""
        return self.layout.offsets[1:].long() - 1

    @property
    def rows(self) -> Tensor:
        """The number of the sequence that each token is of, ``(T,)``."""
        return torch.repeat_interleave(
            torch.arange(len(self), device=self.tokens.device),
            self.layout.offsets.diff(),
            output_size=len(self.tokens),
        )

    def halves(self) -> tuple[PackedBatch, PackedBatch]:
        """The first and the second half of the sequences, where their groups are known."""
        lengths = [length for count, length in self.groups for _ in range(count)]
        middle = len(lengths) // 2
        cut = sum(lengths[:middle])
        return self._cut(lengths[:middle], slice(0, middle), slice(0, cut)), self._cut(
            lengths[middle:], slice(middle, None), slice(cut, None)
        )

    def by_length(self) -> Iterator[PackedBatch]:
        """The sequences of each length as a batch of their own, which needs no padding."""
        lengths = [length for count, length in self.groups for _ in range(count)]
        begun = begin = 0
        for count, length in self.groups:
            end = begin + count * length
            some, tokens = slice(begun, begun + count), slice(begin, end)
            yield self._cut(lengths[some], some, tokens)
            begun, begin = begun + count, end

    def _cut(self, lengths: Sequence[int], sequences: slice, tokens: slice) -> PackedBatch:
        begin = tokens.start
        offsets = self.layout.offsets[sequences.start :][: len(lengths) + 1] - begin
        return PackedBatch(
            self.tokens[tokens],
            self.segments[tokens],
            self.positions[tokens],
            self.starts[sequences] - begin,
            Layout.of(group_lengths(lengths), offsets, self.layout.shared),
        )

    def padded(self, filler: int, at_least: int = 0) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens, segments and attention mask, each ``(B, L)``, for a network that pads.

        ``filler`` stands where a sequence has ended: the network's own padding token, since some
        look for it to know where that was. ``L`` is the longest length, and at least ``at_least``.
        """
        longest = max(self.layout.longest, at_least)
        shape = (len(self), longest)
        rows = self.rows
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


def reads_segments(config: ModelConfig) -> bool:
    """Whether a model tells the segments of a sequence apart."""
    return int(getattr(config, "type_vocab_size", 0)) > 1


def find_masked_filler(config: ModelConfig) -> int:
    """What to pad with where the attention mask alone says what is read: any token will do."""
    return find_padding_token(config) or 0
