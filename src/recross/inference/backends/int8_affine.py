"""Linear layers in 8 bits whose result for a token depends on that token alone.

Weights have one scale per output, tokens one scale each, found as they come (as in LLM.int8(),
Dettmers et al. 2022, and ZeroQuant, Yao et al. 2022). A scale per batch, as in torch's and ONNX
Runtime's own dynamic quantisation, would let a document's score depend on its neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from recross.hardware import cpu_flags
from recross.inference.affine import APPLY, Activation, Affine, MakeAffine, fused

MIDDLE = 128
"""The code of zero: oneDNN is fast on unsigned bytes only (signed ones: 6,000 times slower)."""
SMALLEST = 1e-12
DOT_PRODUCTS = ("avx512_vnni", "avx_vnni", "amx_int8")
"""Instruction sets that add four products of bytes exactly; older ones saturate in 16 bits."""


def multiplies_in_int8() -> bool:
    """Whether products of bytes are exact and fast here."""
    return hasattr(torch.ops.onednn, "qlinear_pointwise") and bool(cpu_flags() & {*DOT_PRODUCTS})


def int8_affine(rows: int) -> MakeAffine:
    """Copy weights once, in 8 bits and blocked for products of about ``rows`` tokens."""

    def make(layers: Sequence[nn.Linear]) -> Affine:
        weight, bias = fused(layers)
        codes, scales = quantised_weight(weight.detach())
        blocked = torch.ops.onednn.qlinear_prepack(codes, [rows, codes.shape[1]])
        zeros = torch.zeros(len(codes), dtype=torch.int32)
        bias = None if bias is None else bias.detach()

        def apply(states: Tensor, activation: Activation = "none") -> Tensor:
            tokens, token_scales = quantised_rows(states)
            out: Tensor = torch.ops.onednn.qlinear_pointwise(
                tokens, 1.0, MIDDLE, blocked, scales, zeros, None,
                1.0, 0, torch.float32, "none", [], "",
            )  # fmt: skip
            out.mul_(token_scales)
            return APPLY[activation](out if bias is None else out.add_(bias))

        return apply

    return make


def quantised_weight(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Codes in [-127, 127] ``(out, in)`` and one scale per output ``(out,)``."""
    scales = weight.abs().amax(dim=1).clamp_min(SMALLEST) / 127
    return (weight / scales[:, None]).round().to(torch.int8), scales


def quantised_rows(states: Tensor) -> tuple[Tensor, Tensor]:
    """Codes in [1, 255] around ``MIDDLE`` ``(T, D)`` and one scale per token ``(T, 1)``."""
    low, high = torch.aminmax(states, dim=1, keepdim=True)
    scales = torch.maximum(high, -low).clamp_min_(SMALLEST) / 127
    return (states / scales).add_(MIDDLE).round_().to(torch.uint8), scales
