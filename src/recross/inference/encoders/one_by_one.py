"""Attention by plain products, sequence by sequence, where a processor is faster that way."""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from recross.inference.layout import Groups
from recross.machine.probes import KernelChoice, choose

PROBED_GROUP, PROBED_HEADS, PROBED_WIDTH = (6, 96), 12, 384
"""What the probe attends to: sequences of common length, MiniLM's heads."""


def attend_one_by_one(projected: Tensor, heads: int, groups: Groups) -> Tensor:
    """Attend with plain products that read and write every head where it stands.

    In fp32 on an EPYC with AVX-512 it takes .78 of the fused kernel's time with heads of 32, .72
    with 64.
    """
    tokens, width = len(projected), projected.shape[1] // 3
    query, key, value = projected.view(tokens, 3, heads, -1).permute(1, 2, 0, 3)  # (H, T, D / H)
    out = projected.new_empty(tokens, width)
    seen = out.view(tokens, heads, -1).transpose(0, 1)
    room = projected.new_empty(heads * max(length for _, length in groups) ** 2)
    scale = query.shape[-1] ** -0.5
    start = 0
    for length in (length for count, length in groups for _ in range(count)):
        span = slice(start, start + length)
        weights = room[: heads * length**2].view(heads, length, length)
        torch.baddbmm(
            weights, query[:, span], key[:, span].transpose(1, 2), beta=0, alpha=scale, out=weights
        )
        weights.sub_(weights.amax(-1, keepdim=True)).exp_()
        torch.bmm(weights, value[:, span], out=seen[:, span])
        seen[:, span].div_(weights.sum(-1, keepdim=True))
        start += length
    return out


def attend_fused(projected: Tensor, heads: int, count: int, length: int) -> Tensor:
    """Attend with torch's fused kernel to sequences of one length."""
    rows = projected.view(count, length, 3, heads, -1).permute(2, 0, 3, 1, 4)
    out = F.scaled_dot_product_attention(rows[0], rows[1], rows[2])
    return out.transpose(1, 2).reshape(count * length, -1)


@cache
def choose_one_by_one() -> KernelChoice:
    """Decide once for the process whether single precision is attended one by one."""
    count, length = PROBED_GROUP
    generator = torch.Generator().manual_seed(0)
    with torch.inference_mode():
        projected = torch.randn(count * length, 3 * PROBED_WIDTH, generator=generator)
        return choose(
            lambda: attend_one_by_one(projected, PROBED_HEADS, [PROBED_GROUP]),
            lambda: attend_fused(projected, PROBED_HEADS, count, length),
        )
