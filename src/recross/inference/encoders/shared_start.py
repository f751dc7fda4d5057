"""Sequences that begin alike, with their common start only once: a token sees no later one.

Prompts of one task share their instruction, those of one query the query as well.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from recross.inference.batches import PackedBatch
from recross.inference.layout import Layout

LEAST_SHARED = 8
"""Shorter starts are left to each sequence: every group of keys would be copied for them."""


class RestsBatch(NamedTuple):
    """A start of ``shared`` tokens as a sequence of its own, if any, then the rest of each other.

    ``layout`` says how start and rests stand; ``lasts`` ``(B,)`` where each sequence's last token
    does. ``key_places`` ``(S + T,)`` are the places of what each of them sees, the start's own
    tokens first, and ``key_offsets`` say where that of each begins.
    """

    tokens: Tensor
    positions: Tensor
    layout: Layout
    lasts: Tensor
    shared: int
    key_places: Tensor
    key_offsets: Tensor

    @classmethod
    def of(cls, batch: PackedBatch) -> RestsBatch:
        """A batch with the start that its layout knows of, where it is long enough to gain."""
        shared, offsets = batch.layout.shared, batch.layout.offsets.long()
        if len(batch) < 2 or shared < LEAST_SHARED:
            return cls.without_start(batch)
        device, count, total = batch.tokens.device, len(batch), len(batch.tokens)
        start, sequences = torch.arange(shared, device=device), torch.arange(count, device=device)
        own_ends = offsets[1:] - shared * (sequences + 1)  # within the rests
        own_total = total - shared * count
        sequence = torch.repeat_interleave(
            sequences, offsets.diff() - shared, output_size=own_total
        )
        rests = torch.arange(own_total, device=device) + shared * (sequence + 1)
        kept = torch.cat([start, rests])
        every = torch.arange(total, device=device)
        of_rest = every - shared * batch.rows
        first = torch.zeros(1, dtype=torch.long, device=device)
        groups = [(1, shared), *((n, length - shared) for n, length in batch.groups)]
        return cls(
            tokens=batch.tokens[kept],
            positions=batch.positions[kept],
            layout=Layout(
                groups,
                torch.cat([first, first + shared, own_ends + shared]).to(torch.int32),
                max(length for _, length in groups),
            ),
            lasts=own_ends + shared - 1,
            shared=shared,
            key_places=torch.cat(
                [start, torch.where(batch.positions < shared, batch.positions, of_rest)]
            ),
            key_offsets=torch.cat([first, offsets + shared]).to(torch.int32),
        )

    @classmethod
    def without_start(cls, batch: PackedBatch) -> RestsBatch:
        """A batch as it stands."""
        every = torch.arange(len(batch.tokens), device=batch.tokens.device)
        layout = batch.layout
        return cls(
            *(batch.tokens, batch.positions, layout, batch.lasts),
            shared=0,
            key_places=every,
            key_offsets=layout.offsets,
        )

    @property
    def longest_seen(self) -> int:
        """How many tokens the last token of the longest sequence sees."""
        return self.shared + max(
            length for _, length in self.layout.groups[1 if self.shared else 0 :]
        )
