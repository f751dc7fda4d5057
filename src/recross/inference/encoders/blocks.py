"""Sequences of about one length filled up together: for kernels that know no offsets, on a GPU.

A kernel for every length that occurs costs a GPU more than a few tokens that are not there: a T5
layer took 2.6 ms in blocks, 10.4 by groups of equal length (65,536 tokens, H200).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from recross.inference.arrival import copy_to
from recross.inference.layout import Layout

STEP = 64
"""Blocks are as wide as the next multiple of it."""


class Block(NamedTuple):
    """``n`` sequences filled up to ``width`` tokens.

    ``places`` ``(n, width)`` say where each token stands in the batch; one that is ``absent``
    repeats the sequence's last.
    """

    places: Tensor
    absent: Tensor  # (n, width)

    @property
    def width(self) -> int:
        """Tokens of every sequence, with those that are not there."""
        return self.places.shape[1]


class Blocks(NamedTuple):
    """All sequences of a batch, and where each token ``(T,)`` stands in the blocks end to end."""

    blocks: Sequence[Block]
    places: Tensor

    def join(self, parts: Sequence[Tensor]) -> Tensor:
        """What was computed for each block, ``(n, width, D)``, as the batch's tokens ``(T, D)``."""
        return torch.cat([part.flatten(0, 1) for part in parts])[self.places]

    def split(self, states: Tensor) -> list[Tensor]:
        """Tokens of the batch ``(T, D)`` as one ``(n, width, D)`` per block."""
        return [states[block.places] for block in self.blocks]

    def with_bias(self, bias: Tensor) -> BiasedBlocks:
        """The same with what is added to products ``(heads, L, L)``, of each block its corner.

        Tokens that are absent are not seen.
        """
        biases = [
            bias[None, :, : block.width, : block.width].masked_fill(
                block.absent[:, None, None], float("-inf")
            )
            for block in self.blocks
        ]
        return BiasedBlocks(self, biases)


class BiasedBlocks(NamedTuple):
    """Blocks, and what is added to the products of each, ``(n, heads, width, width)``."""

    blocks: Blocks
    biases: Sequence[Tensor]


def works_in_blocks(device: torch.device) -> bool:
    """Whether a device does better with few blocks than with many groups of equal length."""
    return device.type == "cuda"


def round_up(length: int) -> int:
    """The width of the block of a sequence."""
    return -(-length // STEP) * STEP


def lay_out_blocks(layout: Layout) -> Blocks:
    """Put sequences, the longest first, into blocks."""
    counts, lengths = (np.array(part, dtype=np.int64) for part in zip(*layout.groups, strict=True))
    lengths = np.repeat(lengths, counts)
    starts, widths = lengths.cumsum() - lengths, -(-lengths // STEP) * STEP
    cuts = np.flatnonzero(np.diff(widths)) + 1
    device, blocks, begin, places = layout.offsets.device, [], 0, []
    for of_block in np.split(np.arange(len(lengths)), cuts):
        width, ends = int(widths[of_block[0]]), lengths[of_block, None]
        within = np.arange(width)[None]
        absent = within >= ends
        rows = starts[of_block, None] + np.minimum(within, ends - 1)
        blocks.append(Block(*(copy_to(torch.from_numpy(part), device) for part in (rows, absent))))
        stands = begin + np.arange(len(of_block))[:, None] * width + within
        places.append(stands[~absent])
        begin += stands.size
    return Blocks(blocks, copy_to(torch.from_numpy(np.concatenate(places)), device))


def attend_in_blocks(
    projected: Tensor, heads: int, biased: BiasedBlocks, dropout: float, scale: float | None
) -> Tensor:
    """Attend from every token; ``projected`` ``(T, 3 D)`` holds queries, keys and values."""
    outputs = []
    for rows, bias in zip(biased.blocks.split(projected), biased.biases, strict=True):
        states = rows.view(*rows.shape[:2], 3, heads, -1).permute(
            2, 0, 3, 1, 4
        )  # (3, n, heads, L, d)
        query, key, value = states.unbind(0)
        out = F.scaled_dot_product_attention(query, key, value, bias, dropout, scale=scale)
        outputs.append(out.transpose(1, 2).flatten(-2))
    return biased.blocks.join(outputs)


def attend_first_in_blocks(
    queries: Tensor,
    projected: Tensor,
    heads: int,
    biased: BiasedBlocks,
    dropout: float,
    scale: float | None,
) -> Tensor:
    """Attend from first tokens ``(B, D)``; ``projected`` ``(T, 2 D)`` holds keys and values."""
    outputs = []
    counts = [len(block.places) for block in biased.blocks.blocks]
    firsts, blocks = torch.split(queries, counts), biased.blocks.split(projected)
    for first, rows, bias in zip(firsts, blocks, biased.biases, strict=True):
        key, value = _split_heads(rows, 2, heads)
        query = first.view(len(first), heads, 1, -1)  # (n, heads, 1, d)
        seen = bias[:, :, :1]
        out = F.scaled_dot_product_attention(query, key, value, seen, dropout, scale=scale)
        outputs.append(out.flatten(1))
    return torch.cat(outputs)  # (B, D)


def _split_heads(rows: Tensor, parts: int, heads: int) -> Sequence[Tensor]:
    """What stands side by side in ``(n, L, parts * heads * d)``, each ``(n, heads, L, d)``."""
    return rows.view(*rows.shape[:2], parts, heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
