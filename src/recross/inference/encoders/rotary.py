"""Rotary positions (RoFormer, Su et al. 2021): queries and keys turned by where they stand."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Rotary(NamedTuple):
    """Cosines and sines of every token's position, both ``(T, d)`` for heads of width ``d``."""

    cos: Tensor
    sin: Tensor

    def take(self, places: Tensor) -> Rotary:
        """Those of the tokens at some places."""
        return Rotary(self.cos[places], self.sin[places])


def rotate(states: Tensor, heads: int, rotary: Rotary) -> Tensor:
    """Turn queries or keys ``(T, heads * d)`` by their positions, in single precision within."""
    each = states.reshape(len(states), heads, -1).float()  # (T, heads, d)
    first, second = each.chunk(2, dim=-1)
    across = torch.cat([-second, first], dim=-1)
    turned = each * rotary.cos[:, None] + across * rotary.sin[:, None]
    return turned.flatten(-2).to(states.dtype)
