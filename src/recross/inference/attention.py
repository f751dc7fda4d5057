"""Attention within the sequences of a packed batch: one unmasked call per group of equal length."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

Groups = Sequence[tuple[int, int]]
"""(how many sequences, their length), in the order in which they stand end to end."""


def by_group(states: Tensor, groups: Groups) -> list[Tensor]:
    """Tokens ``(T, D)`` as one ``(n, L, D)`` per group.

    Split at once: cutting slice after slice would make the gradient of each as long as the batch.
    """
    parts = torch.split(states, [count * length for count, length in groups])
    return [part.view(*group, -1) for part, group in zip(parts, groups, strict=True)]


def attend_all(
    projected: Tensor,
    heads: int,
    groups: Groups,
    dropout: float,
    bias: Tensor | None = None,
    scale: float | None = None,
) -> Tensor:
    """Attend from every token; ``projected`` ``(T, 3 D)`` holds queries, keys and values.

    ``bias`` ``(heads, L, L)`` is added to the products, of shorter sequences its corner; ``scale``
    is one over the root of a head's width unless given.
    """
    parts = []
    for rows in by_group(projected, groups):
        count, length, _ = rows.shape
        query, key, value = rows.view(count, length, 3, heads, -1).permute(2, 0, 3, 1, 4)
        near = None if bias is None else bias[None, :, :length, :length]
        out = F.scaled_dot_product_attention(query, key, value, near, dropout, scale=scale)
        parts.append(out.transpose(1, 2).reshape(count * length, -1))
    return torch.cat(parts)  # (T, D)


def attend_first(
    queries: Tensor,
    projected: Tensor,
    heads: int,
    groups: Groups,
    dropout: float,
    bias: Tensor | None = None,
    scale: float | None = None,
) -> Tensor:
    """Attend from first tokens ``(B, D)`` to their own sequences; ``projected`` is ``(T, 2 D)``."""
    parts = []
    asked = torch.split(queries, [count for count, _ in groups])
    for query, rows in zip(asked, by_group(projected, groups), strict=True):
        count, length, _ = rows.shape
        key, value = rows.view(count, length, 2, heads, -1).permute(2, 0, 3, 1, 4)
        one = query.view(count, 1, heads, -1).transpose(1, 2)
        near = None if bias is None else bias[None, :, :1, :length]
        out = F.scaled_dot_product_attention(one, key, value, near, dropout, scale=scale)
        parts.append(out.transpose(1, 2).reshape(count, -1))
    return torch.cat(parts)  # (B, D)
