"""Linear layers and norms of the padding-free forwards.

Linear layers are live for training, frozen and blocked for scoring.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recross.checkpoints.loaded import LoadedModule
from recross.machine.probes import KernelChoice, choose

Activation = Literal["none", "relu", "gelu", "gelu_tanh", "silu"]
APPLY: dict[str, Callable[[Tensor], Tensor]] = {
    "none": lambda out: out,
    "relu": F.relu,
    "gelu": F.gelu,
    "gelu_tanh": lambda out: F.gelu(out, approximate="tanh"),
    "silu": F.silu,
}
_BLOCKED = {"none": ("none", ""), "relu": ("relu", ""), "gelu": ("gelu", "none")}
_BLOCKED["gelu_tanh"], _BLOCKED["silu"] = ("gelu", "tanh"), ("swish", "")

PROBED_TOKENS = 256
"""Rows of the product that the probe of blocked weights times, of MiniLM's width."""


class Affine(Protocol):
    """A linear layer, followed by an activation."""

    def __call__(self, states: Tensor, activation: Activation = "none", /) -> Tensor:
        """Apply it to ``(T, D)``."""


MakeAffine = Callable[[Sequence[nn.Linear]], Affine]
"""Fuses linear layers that read one input; outputs stand side by side."""


@dataclass(frozen=True)
class LiveAffine:
    """Uses the layers' own parameters, as they are at every call: for training."""

    layers: Sequence[nn.Linear]

    def __call__(self, states: Tensor, activation: Activation = "none") -> Tensor:
        """Apply the layers as one product, and the activation to what it gives."""
        if len(self.layers) == 1:
            out: Tensor = self.layers[0](states)
        elif all(type(layer) is nn.Linear for layer in self.layers):
            out = F.linear(states, *fuse_layers(self.layers))
        else:  # some have low-rank additions
            out = torch.cat([layer(states) for layer in self.layers], dim=-1)
        return APPLY[activation](out)


def freeze_affine(dtype: torch.dtype, rows: int) -> MakeAffine:
    """Copy weights once, in ``dtype`` and blocked for products of about ``rows`` tokens.

    The blocked form (oneDNN) is reached through operators that torch's own compiler uses; where
    they are missing, the processor has no instructions for them in ``dtype``, or a probe finds
    ordinary products clearly faster, the product is an ordinary one.
    """

    def make(layers: Sequence[nn.Linear]) -> Affine:
        weight, bias = fuse_layers(layers)
        weight = weight.detach().to(dtype)
        bias = None if bias is None else bias.detach().to(dtype)
        if (
            weight.device.type == "cpu"
            and multiplies_blocked(dtype)
            and choose_blocked(dtype).is_own
        ):
            return block_affine(weight, bias, rows)
        return plain_affine(weight, bias)

    return make


def hold_affine(dtype: torch.dtype) -> MakeAffine:
    """Use weights of ``dtype`` where they are, and copy others once: for large models.

    Ordinary products of many tokens take no longer: a layer of 1,024 by 3,072 took 198 ms for 2,048
    tokens in fp32, blocked 255, in bf16 33.9 and 33.8 (a Xeon with AMX, one core).
    """

    def make(layers: Sequence[nn.Linear]) -> Affine:
        (layer,) = layers
        bias = None if layer.bias is None else layer.bias.detach().to(dtype)
        return plain_affine(_weight(layer).detach().to(dtype), bias)

    return make


def block_affine(weight: Tensor, bias: Tensor | None, rows: int) -> Affine:
    """A frozen layer whose weight oneDNN has blocked, with the activation in the product."""
    blocked = torch.ops.mkldnn._reorder_linear_weight(weight, rows)

    def apply(states: Tensor, activation: Activation = "none") -> Tensor:
        name, algorithm = _BLOCKED[activation]
        out: Tensor = torch.ops.mkldnn._linear_pointwise(states, blocked, bias, name, [], algorithm)
        return out

    return apply


def plain_affine(weight: Tensor, bias: Tensor | None) -> Affine:
    """A frozen layer by torch's ordinary product."""

    def apply(states: Tensor, activation: Activation = "none") -> Tensor:
        return APPLY[activation](F.linear(states, weight, bias))

    return apply


@cache
def choose_blocked(dtype: torch.dtype) -> KernelChoice:
    """Decide once for the process whether frozen layers multiply blocked, in a type."""
    generator = torch.Generator().manual_seed(0)
    with torch.inference_mode():
        states, weight = (
            torch.randn(rows, 384, generator=generator).to(dtype) for rows in (PROBED_TOKENS, 1536)
        )
        bias = weight.new_zeros(len(weight))
        own, torchs = block_affine(weight, bias, PROBED_TOKENS), plain_affine(weight, bias)
        return choose(lambda: own(states, "gelu"), lambda: torchs(states, "gelu"))


def refuse_use(_states: Tensor, _activation: Activation = "none") -> Tensor:
    """Stand where a layer has no such projection, and refuse to be called."""
    raise AssertionError("this layer's projection is not part of the forward")


def layer_norm(norm: nn.LayerNorm, states: Tensor) -> Tensor:
    """Layer norm in the states' type; torch computes it in single precision within."""
    weight: Tensor = norm.weight
    bias: Tensor | None = norm.bias
    if not _norms_mixed_dtypes(states.device):
        weight, bias = weight.to(states.dtype), None if bias is None else bias.to(states.dtype)
    return F.layer_norm(states, norm.normalized_shape, weight, bias, norm.eps)


def norm_mean_square(norm: LoadedModule, states: Tensor) -> Tensor:
    """T5's norm by the root of the mean square, in single precision."""
    variance = states.pow(2).mean(-1, keepdim=True)
    out: Tensor = states * torch.rsqrt(variance + norm.variance_epsilon) * norm.weight
    return out


def fuse_layers(layers: Sequence[nn.Linear]) -> tuple[Tensor, Tensor | None]:
    """Weight and bias of layers that read one input, their outputs side by side."""
    weight = torch.cat([_weight(layer) for layer in layers])
    has_bias = layers[0].bias is not None
    return weight, torch.cat([layer.bias for layer in layers]) if has_bias else None


def is_added_to(layer: LoadedModule) -> bool:
    """Whether a linear layer has low-rank additions (peft)."""
    return hasattr(layer, "get_delta_weight")


def _weight(layer: LoadedModule) -> Tensor:
    """A layer's weight with what low-rank additions (peft) make of it."""
    weight: Tensor = layer.weight
    if is_added_to(layer):
        for name in layer.active_adapters:
            weight = weight + layer.get_delta_weight(name)
    return weight


def _norms_mixed_dtypes(device: torch.device) -> bool:
    """Whether weights in single precision may norm states in half: CUDA refuses it."""
    return device.type == "cpu"


def multiplies_blocked(dtype: torch.dtype) -> bool:
    """Whether there is a blocked product in a type here."""
    return _has_blocked_linear() and _multiplies_blocked(dtype)


def _has_blocked_linear() -> bool:
    return bool(torch.backends.mkldnn.is_available()) and all(  # type: ignore[no-untyped-call]
        hasattr(torch.ops.mkldnn, name) for name in ("_reorder_linear_weight", "_linear_pointwise")
    )


@cache
def _multiplies_blocked(dtype: torch.dtype) -> bool:
    """Whether the blocked product works in a type here: in half precision AVX2 is not enough."""
    weight = torch.ones(1, 1, dtype=dtype)
    try:
        blocked = torch.ops.mkldnn._reorder_linear_weight(weight, 1)
        torch.ops.mkldnn._linear_pointwise(weight, blocked, None, "none", [], "")
    except RuntimeError:
        return False
    return True
