"""What a GPU's packed attention gives, by a loop on a processor."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from recross.inference.layout import Groups, Layout


def attend_slowly(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    query_offsets: Tensor,
    key_offsets: Tensor,
    longest_query: int,
    longest_key: int,
    *,
    scale: float | None = None,
    window: int | None = None,
    dropout: float = 0.0,
    causal: bool = False,
) -> Tensor:
    """As ``varlen_attn`` of torch: a window is counted from the end, where queries are fewer."""
    assert query_offsets.dtype == key_offsets.dtype == torch.int32
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    parts = []
    ends = zip(query_offsets.tolist(), key_offsets.tolist(), strict=True)
    begun = next(ends)
    for stop in ends:
        (first, begin), (last, end) = begun, stop
        begun = stop
        count, length = last - first, end - begin
        assert count <= longest_query, "more queries than were announced"
        assert length <= longest_key, "more keys than were announced"
        products = torch.einsum("qhd,khd->hqk", query[first:last], key[begin:end]) * scale
        places = torch.arange(count)[:, None] + length - count
        distance = torch.arange(length)[None] - places
        if window is not None:
            products = products.masked_fill(distance.abs() > window, -torch.inf)
        if causal:
            products = products.masked_fill(distance > 0, -torch.inf)
        weights = products.softmax(dim=-1) if length else products
        weights = F.dropout(weights, dropout, dropout > 0)
        parts.append(torch.einsum("hqk,khd->qhd", weights, value[begin:end]))
    out = torch.cat(parts)
    return torch.cat([out, torch.full_like(query[len(out) :], torch.nan)])


def layout_of(groups: Groups) -> Layout:
    """The layout of groups of sequences on a processor."""
    lengths = [length for count, length in groups for _ in range(count)]
    return Layout.of(groups, torch.tensor([0, *lengths]).cumsum(0))
