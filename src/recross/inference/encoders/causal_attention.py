"""Attention of each token to itself and to those before it, without padding.

Several heads of queries may read one of keys and values (Ainslie et al. 2023).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from recross.inference.encoders.packed_attention import attend_causally_by_offsets, has_kernel_for
from recross.inference.encoders.shared_start import RestsBatch

QUERY_STEP = 512
"""Queries that are attended from at a time, to the keys that any of them may see."""


class CausalAttention(NamedTuple):
    """How the tokens of a batch attend, each to those before it in its own sequence.

    With a ``window`` a token sees as many before it, and itself.
    """

    batch: RestsBatch
    window: int | None = None
    dropout: float = 0.0

    def binds(self, length: int) -> bool:
        """Whether the last of so many tokens does not see the first."""
        return self.window is not None and length > self.window + 1


def attend_back(query: Tensor, key: Tensor, value: Tensor, attention: CausalAttention) -> Tensor:
    """Attend from every token, ``(T, heads, d)`` to ``(T, heads * d)``; keys of fewer heads."""
    batch, window, dropout = attention
    if has_kernel_for(query.device, query.dtype):
        seen = (key[batch.key_places], value[batch.key_places])
        ends = (batch.layout.offsets, batch.key_offsets, batch.layout.longest, batch.longest_seen)
        return attend_causally_by_offsets((query, *seen), *ends, window=window, dropout=dropout)
    outputs = []
    queries = torch.split(query, _count_tokens(batch))
    for mine, (count, keys, values) in zip(queries, _see(batch, key, value), strict=True):
        out = _attend_in_steps(_heads_first(mine, count), keys, values, attention)
        outputs.append(out.transpose(1, 2).reshape(len(mine), -1))
    return torch.cat(outputs)  # (T, heads * d)


def attend_back_from_last(
    query: Tensor, key: Tensor, value: Tensor, attention: CausalAttention
) -> Tensor:
    """Attend from the last token of each sequence, ``(B, heads, d)`` to ``(B, heads * d)``."""
    batch, window, dropout = attention
    if has_kernel_for(query.device, query.dtype):
        places = batch.key_places[batch.shared :]
        each = torch.arange(len(query) + 1, dtype=torch.int32, device=query.device)
        offsets = batch.key_offsets[1:] - batch.shared if batch.shared else batch.key_offsets
        ends = (each, offsets, 1, batch.longest_seen)
        seen = (key[places], value[places])
        return attend_causally_by_offsets((query, *seen), *ends, window=window, dropout=dropout)
    outputs = []
    groups = list(_see(batch, key, value))[1 if batch.shared else 0 :]
    queries = torch.split(query, [count for count, *_ in groups])
    for mine, (_, keys, values) in zip(queries, groups, strict=True):
        if window is not None:
            keys, values = keys[:, :, -window - 1 :], values[:, :, -window - 1 :]
        out = F.scaled_dot_product_attention(
            *(mine[:, :, None], keys, values, None, dropout), enable_gqa=True
        )
        outputs.append(out.flatten(1))
    return torch.cat(outputs)  # (B, heads * d)


def _see(batch: RestsBatch, key: Tensor, value: Tensor) -> Iterator[tuple[int, Tensor, Tensor]]:
    """How many sequences of one length there are, and what each sees, ``(n, heads, S + L, d)``.

    The common start comes first, as a sequence of its own.
    """
    sizes = _count_tokens(batch)
    start: tuple[Tensor, Tensor] | None = None
    for (count, _), keys, values in zip(
        batch.layout.groups, torch.split(key, sizes), torch.split(value, sizes), strict=True
    ):
        seen = _heads_first(keys, count), _heads_first(values, count)
        if start is not None:
            seen = _put_before(start[0], seen[0]), _put_before(start[1], seen[1])
        elif batch.shared:
            start = seen
        yield count, *seen


def _attend_in_steps(
    query: Tensor, key: Tensor, value: Tensor, attention: CausalAttention
) -> Tensor:
    """Attend from the last tokens ``(n, heads, L, d)`` of what is seen, ``(n, heads, S + L, d)``.

    Some tokens at a time read the keys that any of them may see.
    """
    _, window, dropout = attention
    length, seen = query.shape[2], key.shape[2]
    if length == seen and not attention.binds(seen):
        return F.scaled_dot_product_attention(
            *(query, key, value, None, dropout, True), enable_gqa=True
        )
    before, outputs = seen - length, []
    places = torch.arange(seen, device=query.device)
    for begin in range(0, length, QUERY_STEP):
        mine = slice(begin, min(begin + QUERY_STEP, length))
        theirs = slice(0 if window is None else max(before + begin - window, 0), before + mine.stop)
        distance = places[before + begin : before + mine.stop, None] - places[None, theirs]
        hidden = distance < 0 if window is None else (distance < 0) | (distance > window)
        mask = query.new_zeros(hidden.shape).masked_fill(hidden, float("-inf"))
        outputs.append(
            F.scaled_dot_product_attention(
                *(query[:, :, mine], key[:, :, theirs], value[:, :, theirs], mask, dropout),
                enable_gqa=True,
            )
        )
    return torch.cat(outputs, dim=2)


def _count_tokens(batch: RestsBatch) -> list[int]:
    return [count * length for count, length in batch.layout.groups]


def _heads_first(states: Tensor, count: int) -> Tensor:
    """States ``(n * L, heads, d)`` of ``count`` sequences as ``(n, heads, L, d)``."""
    return states.view(count, -1, *states.shape[1:]).transpose(1, 2)


def _put_before(start: Tensor, rest: Tensor) -> Tensor:
    """The start ``(1, heads, S, d)`` before the rest of each sequence, ``(n, heads, L, d)``."""
    return torch.cat([start.expand(len(rest), -1, -1, -1), rest], dim=2)
