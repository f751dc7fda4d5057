"""Attention over sequences end to end by one kernel, which plans nothing and knows their offsets.

torch's own for GPUs (``torch.nn.attention.varlen``, flash attention), in half precision.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from inspect import signature
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

from recross.inference.layout import Layout

Kernel = Callable[..., Tensor]
"""Queries, keys, values ``(T, heads, d)``, offsets of queries and keys, longest of each."""

HALVES = (torch.bfloat16, torch.float16)

WIDTH_STEP = 8
"""Heads are so many times as wide for flash attention; TinyBERT's (312 by 12) are not."""


def _look_for_kernel() -> Kernel | None:
    try:
        from torch.nn.attention.varlen import varlen_attn  # not in every torch
    except ImportError:
        return None
    if "window_size" not in signature(varlen_attn).parameters:
        return None
    return partial(_attend, cast(Kernel, varlen_attn))


def _attend(
    whole: Kernel,
    *states_and_ends: Tensor | int,
    scale: float | None,
    window: int | None,
    dropout: float,
    causal: bool = False,
) -> Tensor:
    """Attend by torch's function, or by the operator beneath it, which alone can drop weights."""
    near = -1 if window is None else window
    after = 0 if causal else near
    if dropout == 0:
        return whole(*states_and_ends, scale=scale, window_size=(near, after))
    out: Tensor = torch.ops.aten._flash_attention_forward(
        *states_and_ends,
        dropout,
        causal,
        False,  # without the weights
        scale=scale,
        window_size_left=near,
        window_size_right=after,
    )[0]
    return out


_KERNEL = _look_for_kernel()  # no cached function: compiling would trace it, with a warning


def find_kernel() -> Kernel | None:
    """The kernel of the installed torch; ``None`` where it has none that takes windows."""
    return _KERNEL


def has_kernel_for(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether states of a type on a device can be attended to by their offsets."""
    return device.type == "cuda" and dtype in HALVES and find_kernel() is not None


def attend_by_offsets(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    layout: Layout,
    *,
    scale: float | None = None,
    window: int | None = None,
    dropout: float = 0.0,
) -> Tensor:
    """Attend from every token, ``(T, heads, d)`` to ``(T, heads * d)``.

    What stands behind the last sequence attends to nothing, and what comes out there is anything.
    """
    ends = (layout.offsets, layout.offsets, layout.longest, layout.longest)
    return _call((query, key, value), *ends, scale=scale, window=window, dropout=dropout)


def attend_first_by_offsets(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    layout: Layout,
    *,
    scale: float | None = None,
    dropout: float = 0.0,
) -> Tensor:
    """Attend from the first token of each sequence, ``(B, heads, d)``, to all of its tokens."""
    each = torch.arange(len(query) + 1, dtype=torch.int32, device=query.device)
    ends = (each, layout.offsets, 1, layout.longest)
    return _call((query, key, value), *ends, scale=scale, window=None, dropout=dropout)


def attend_causally_by_offsets(
    states: tuple[Tensor, Tensor, Tensor],
    *ends: Tensor | int,
    window: int | None = None,
    dropout: float = 0.0,
) -> Tensor:
    """Attend from the last tokens of each sequence, ``(T, heads, d)``, to itself and those before.

    Of ``states`` keys and values may have fewer heads than queries, and more tokens: ``ends`` are
    the offsets of both and the longest of each.
    """
    query, *seen = states
    each = query.shape[1] // seen[0].shape[1]
    if each > 1:
        seen = [part.repeat_interleave(each, dim=1) for part in seen]
    return _call((query, *seen), *ends, scale=None, window=window, dropout=dropout, causal=True)


def _call(
    states: Sequence[Tensor], *ends: Tensor | int, scale: float | None, **settings: float | None
) -> Tensor:
    """Call the kernel, with heads filled up by zeros, which change no product."""
    kernel = find_kernel()
    assert kernel is not None  # asked for before: has_kernel_for
    width = states[0].shape[-1]
    scale = width**-0.5 if scale is None else scale
    filled = (F.pad(part, (0, -width % WIDTH_STEP)).contiguous() for part in states)
    return kernel(*filled, *ends, scale=scale, **settings)[..., :width].flatten(1)
