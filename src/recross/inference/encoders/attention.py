"""Attention within each sequence of a packed batch, without padding.

A mask is needed only where a window is narrower than a sequence.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from recross.inference.encoders.blocks import (
    BiasedBlocks,
    attend_first_in_blocks,
    attend_in_blocks,
    lay_out_blocks,
    round_up,
    works_in_blocks,
)
from recross.inference.encoders.one_by_one import attend_one_by_one, choose_one_by_one
from recross.inference.encoders.packed_attention import (
    attend_by_offsets,
    attend_first_by_offsets,
    has_kernel_for,
)
from recross.inference.encoders.rotary import Rotary, rotate
from recross.inference.layout import Groups, Layout

MOST_LEARNED_PLAINLY = 256
"""Tokens of a sequence up to which attention in bf16 is not torch's fused one in training."""


class Placement(NamedTuple):
    """How attention knows where tokens stand to one another; by default it does not.

    ``bias`` ``(heads, L, L)`` is added to the products, of shorter sequences its corner (T5); on a
    GPU ``blocks`` of sequences of about one length get it together.
    ``rotary`` turns queries and keys by their positions (RoFormer, Su et al. 2021). With a
    ``window`` a token sees those that are at most so far from it (Longformer, Beltagy et al. 2020).
    """

    bias: Tensor | None = None
    rotary: Rotary | None = None
    window: int | None = None
    blocks: BiasedBlocks | None = None

    def binds(self, length: int) -> bool:
        """Whether some token of a sequence of this length does not see some other."""
        return self.window is not None and length > self.window + 1


ANYWHERE = Placement()


def place_by_bias(compute_bias: Callable[[int], Tensor], layout: Layout) -> Placement:
    """Place tokens by a relative bias, which ``compute_bias`` gives for a length."""
    in_blocks = works_in_blocks(layout.offsets.device)
    bias = compute_bias(round_up(layout.longest) if in_blocks else layout.longest)
    return Placement(bias, blocks=lay_out_blocks(layout).with_bias(bias) if in_blocks else None)


class Attention(NamedTuple):
    """How the tokens of a batch attend, each to those of its own sequence.

    ``scale`` multiplies the products: one over the root of a head's width unless given.
    """

    heads: int
    layout: Layout
    dropout: float = 0.0
    placement: Placement = ANYWHERE
    scale: float | None = None


def by_group(states: Tensor, groups: Groups) -> list[Tensor]:
    """Tokens ``(T, D)`` as one ``(n, L, D)`` per group.

    Split at once: cutting slice after slice would make the gradient of each as long as the batch.
    """
    blocks = torch.split(states, [count * length for count, length in groups])
    return [block.view(*group, -1) for block, group in zip(blocks, groups, strict=True)]


def attend_all(projected: Tensor, attention: Attention) -> Tensor:
    """Attend from every token; ``projected`` ``(T, 3 D)`` holds queries, keys and values."""
    heads, layout, dropout, placement, scale = attention
    if placement.rotary is not None:
        width = projected.shape[1] // 3
        turned = rotate(projected[:, : 2 * width], 2 * heads, placement.rotary)
        projected = torch.cat([turned, projected[:, 2 * width :]], dim=-1)
    if _goes_by_offsets(projected, attention):
        query, key, value = projected.view(len(projected), 3, heads, -1).unbind(1)
        return attend_by_offsets(
            *(query, key, value, layout), scale=scale, window=placement.window, dropout=dropout
        )
    if placement.blocks is not None:
        return attend_in_blocks(projected, heads, placement.blocks, dropout, scale)
    groups = layout.groups
    plain = projected.device.type == "cpu" and projected.dtype == torch.float32
    plain = plain and placement.bias is None and not placement.binds(_longest(groups))
    plain = plain and scale is None and dropout == 0 and not projected.requires_grad
    if plain and choose_one_by_one().is_own:
        return attend_one_by_one(projected, heads, groups)
    return group_by_group(projected, attention)


def average_sequences(states: Tensor, layout: Layout) -> Tensor:
    """The mean of each sequence's tokens ``(T, D)``, ``(B, D)``, in single precision."""
    if states.device.type == "cpu" and layout.groups:
        groups = by_group(states, layout.groups)
        return torch.cat([rows.float().mean(dim=1) for rows in groups])
    return torch.segment_reduce(
        states.float(), "mean", offsets=layout.offsets.long(), axis=0, unsafe=True
    )


def group_by_group(projected: Tensor, attention: Attention) -> Tensor:
    """Attend with torch's fused kernel, all sequences of one length together.

    Queries and keys have been turned already.
    """
    heads, (groups, *_), dropout, placement, scale = attention
    outputs = []
    for rows in by_group(projected, groups):
        count, length, _ = rows.shape
        query, key, value = rows.view(count, length, 3, heads, -1).permute(2, 0, 3, 1, 4)
        bias = None if placement.bias is None else placement.bias[None, :, :length, :length]
        if placement.window is not None and placement.binds(length):
            out = _attend_near(query, key, value, placement.window, bias, dropout, scale)
        elif projected.requires_grad and _learns_faster_plainly(projected, length):
            out = attend_plainly(query, key, value, bias, dropout, scale)
        else:
            out = F.scaled_dot_product_attention(query, key, value, bias, dropout, scale=scale)
        outputs.append(out.transpose(1, 2).reshape(count * length, -1))
    return torch.cat(outputs)  # (T, D)


def attend_plainly(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    bias: Tensor | None = None,
    dropout: float = 0.0,
    scale: float | None = None,
) -> Tensor:
    """Attend ``(n, heads, L, d)`` by two products and a softmax, which keeps ``L x L`` of them."""
    products = (query * (scale or query.shape[-1] ** -0.5)) @ key.transpose(-1, -2)
    products = products if bias is None else products + bias
    shares = products.softmax(dim=-1, dtype=torch.float32).to(value.dtype)
    return F.dropout(shares, dropout, dropout > 0) @ value


def _learns_faster_plainly(projected: Tensor, length: int) -> bool:
    """Whether torch's fused kernel is the slower one in training, as it is in bf16 on processors.

    Its gradients take two to thirty times as long as those of two products, up to the length
    where what these keep leaves the processor's caches (``benchmarks/attention_gradients.py``).
    """
    on_processor = projected.device.type == "cpu"
    return on_processor and projected.dtype == torch.bfloat16 and length <= MOST_LEARNED_PLAINLY


def attend_first(
    queries: Tensor, projected: Tensor, attention: Attention, starts: Tensor
) -> Tensor:
    """Attend from first tokens ``(B, D)`` to their own sequences; ``projected`` is ``(T, 2 D)``.

    First tokens stand at ``starts``.
    """
    heads, layout, dropout, placement, scale = attention
    if placement.rotary is not None:
        width = projected.shape[1] // 2
        turned = rotate(projected[:, :width], heads, placement.rotary)
        projected = torch.cat([turned, projected[:, width:]], dim=-1)
        queries = rotate(queries, heads, placement.rotary.take(starts))
    if _goes_by_offsets(projected, attention):
        key, value = projected.view(len(projected), 2, heads, -1).unbind(1)
        query = queries.view(len(queries), heads, -1)
        if placement.window is None:
            return attend_first_by_offsets(
                *(query, key, value, layout), scale=scale, dropout=dropout
            )
        everywhere = torch.zeros_like(key).index_put((starts,), query)  # a window is counted back
        out = attend_by_offsets(
            *(everywhere, key, value, layout),
            scale=scale,
            window=placement.window,
            dropout=dropout,
        )
        return out[starts]
    if placement.blocks is not None:
        blocks = placement.blocks
        return attend_first_in_blocks(queries, projected, heads, blocks, dropout, scale)
    groups = layout.groups
    seen = None if placement.window is None else placement.window + 1
    outputs = []
    queries_by_group = torch.split(queries, [count for count, _ in groups])
    for first, rows in zip(queries_by_group, by_group(projected, groups), strict=True):
        count, length, _ = rows[:, :seen].shape
        key, value = rows[:, :seen].reshape(count, length, 2, heads, -1).permute(2, 0, 3, 1, 4)
        query = first.view(count, 1, heads, -1).transpose(1, 2)
        bias = None if placement.bias is None else placement.bias[None, :, :1, :length]
        out = F.scaled_dot_product_attention(query, key, value, bias, dropout, scale=scale)
        outputs.append(out.transpose(1, 2).reshape(count, -1))
    return torch.cat(outputs)  # (B, D)


def _attend_near(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    window: int,
    bias: Tensor | None,
    dropout: float,
    scale: float | None,
) -> Tensor:
    """Attend ``(n, heads, L, d)`` within a window, at a cost that grows with ``L``, not its square.

    Some tokens at a time read the keys that any of them may see.
    """
    length, step = query.shape[2], max(2 * window, 1)
    position = torch.arange(length, device=query.device)
    outputs = []
    for start in range(0, length, step):
        block = slice(start, min(start + step, length))
        seen = slice(max(start - window, 0), min(start + step + window, length))
        mask = (position[block, None] - position[None, seen]).abs() <= window
        if bias is not None:
            mask = bias[:, :, block, seen].masked_fill(~mask, float("-inf"))
        outputs.append(
            F.scaled_dot_product_attention(
                query[:, :, block], key[:, :, seen], value[:, :, seen], mask, dropout, scale=scale
            )
        )
    return torch.cat(outputs, dim=2)


def _goes_by_offsets(states: Tensor, attention: Attention) -> bool:
    """Whether one kernel can attend to all sequences: it adds no bias."""
    return attention.placement.bias is None and has_kernel_for(states.device, states.dtype)


def _longest(groups: Groups) -> int:
    return max(length for _, length in groups)
