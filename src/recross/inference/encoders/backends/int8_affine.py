"""Linear layers in 8 bits whose result for a token depends on that token alone.

Weights have one scale per output, tokens a scale and a zero each, found as they come (as in
ZeroQuant, Yao et al. 2022): ``x = low + step * code``. A scale per batch, as in torch's and ONNX
Runtime's own dynamic quantisation, would let a document's score depend on its neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from recross.inference.encoders.affine import APPLY, Activation, Affine, MakeAffine, fuse_layers
from recross.machine.processor import read_cpu_flags

STEPS = 255
"""Codes are unsigned bytes: on signed ones oneDNN is thousands of times slower."""
SMALLEST = 1e-12
DOT_PRODUCTS = ("avx512_vnni", "avx_vnni", "amx_int8")
"""Instruction sets that add four products of bytes exactly; older ones saturate in 16 bits."""


def multiplies_in_int8() -> bool:
    """Whether products of bytes are exact and fast here."""
    return hasattr(torch.ops.onednn, "qlinear_pointwise") and bool(
        read_cpu_flags() & {*DOT_PRODUCTS}
    )


def quantise_affine(rows: int) -> MakeAffine:
    """Copy weights once, in 8 bits and blocked for products of about ``rows`` tokens."""

    def make(layers: Sequence[nn.Linear]) -> Affine:
        weight, bias = fuse_layers(layers)
        codes, scales = quantise_weight(weight.detach())
        blocked = torch.ops.onednn.qlinear_prepack(codes, [rows, codes.shape[1]])
        zeros = torch.zeros(len(codes), dtype=torch.int32)
        sums = codes.sum(dim=1).float() * scales  # what a token's least value adds to each output
        bias = torch.zeros_like(sums) if bias is None else bias.detach()

        def apply(states: Tensor, activation: Activation = "none") -> Tensor:
            tokens, low, steps = quantise_rows(states)
            out: Tensor = torch.ops.onednn.qlinear_pointwise(
                tokens, 1.0, 0, blocked, scales, zeros, None,
                1.0, 0, torch.float32, "none", [], "",
            )  # fmt: skip
            return APPLY[activation](out.mul_(steps).addcmul_(low, sums).add_(bias))

        return apply

    return make


def quantise_weight(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Codes in [-127, 127] ``(out, in)`` and one scale per output ``(out,)``."""
    scales = weight.abs().amax(dim=1).clamp_min(SMALLEST) / 127
    return (weight / scales[:, None]).round().to(torch.int8), scales


def quantise_rows(states: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Codes in [0, 255] ``(T, D)``, least value and step of each token, both ``(T, 1)``."""
    low, high = states.amin(dim=1, keepdim=True), states.amax(dim=1, keepdim=True)
    steps = (high - low).clamp_min_(SMALLEST) / STEPS
    inverse = steps.reciprocal()
    codes = (states * inverse).add_(0.5 - low * inverse)
    return codes.clamp_(0, STEPS).to(torch.uint8), low, steps  # the cast cuts off: .5 rounds up
