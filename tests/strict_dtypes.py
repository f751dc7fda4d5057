"""Refuses on a processor what CUDA refuses: operands of two floating types in one operation.

``CudaAutocast`` makes a processor's autocast that of CUDA, which computes more in single precision.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from recross.inference.encoders.packed_attention import HALVES
from tests.slow_attention import attend_slowly

PRODUCTS = {"addbmm", "addmm", "addmv", "baddbmm", "bmm", "dot", "linear", "matmul", "mm", "mv"}
PRODUCTS |= {"bilinear", "einsum", "linear_backward", "convolution", "convolution_backward"}
NORMS = {"layer_norm", "native_layer_norm", "native_layer_norm_backward", "group_norm"}
ATTENTION = ("scaled_dot_product", "_scaled_dot_product")
PACKED = {"_varlen_attn", "_flash_attention_forward", "_efficient_attention_forward"}
"""Attention over sequences end to end: queries, keys and values come first."""

BACKWARD = {"_varlen_attn_backward", "_flash_attention_backward"}
"""Its gradients: what comes in, queries, keys, values and what went out come first."""

SINGLE = {"softmax", "log_softmax", "layer_norm", "group_norm", "rms_norm", "normalize", "norm"}
SINGLE |= {"exp", "expm1", "log", "log2", "log10", "log1p", "logsumexp", "pow", "__pow__", "rsqrt"}
SINGLE |= {"reciprocal", "sum", "prod", "cumsum", "cumprod", "softplus", "mse_loss", "kl_div"}
SINGLE |= {"binary_cross_entropy_with_logits", "cross_entropy", "nll_loss", "cosine_similarity"}
"""What CUDA's autocast computes in single precision, by the names of torch's functions."""


class StrictDtypes(TorchDispatchMode):
    """Raises where a matrix product, a layer norm or attention sees two floating types.

    Sums and products of elements are free to mix, since CUDA promotes them as a processor does.
    Attention over sequences end to end takes half precision alone. ``watched`` counts what was
    looked at.
    """

    def __init__(self) -> None:
        super().__init__()
        self.watched: Counter[str] = Counter()

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        name = func.overloadpacket.__name__
        attends = name.startswith(ATTENTION) and not name.endswith("_backward")  # kernels' own
        if name in PRODUCTS | NORMS or attends:
            self.watched[name] += 1
            require_one_type(name, [args, kwargs or {}])
        elif name in PACKED | BACKWARD:
            self.watched[name] += 1
            require_one_half(name, args[: 3 if name in PACKED else 5])
        return func(*args, **(kwargs or {}))


class CudaAutocast(TorchFunctionMode):
    """Under a processor's autocast, computes in single precision what CUDA's does."""

    def __torch_function__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = kwargs or {}
        if getattr(func, "__name__", "") in SINGLE and torch.is_autocast_enabled("cpu"):
            args, given = tree_map(_make_single, (tuple(args), dict(given)))
        return func(*args, **given)


def attend_strictly(query: Tensor, key: Tensor, value: Tensor, *ends: Any, **more: Any) -> Tensor:
    """A loop in the place of a GPU's packed attention, which refuses what that refuses."""
    require_one_half("varlen_attn", (query, key, value))
    return attend_slowly(query, key, value, *ends, **more)


def require_one_half(name: str, operands: Sequence[Any]) -> None:
    """Raise unless all operands have one type of half precision."""
    require_one_type(name, operands)
    if operands[0].dtype not in HALVES:
        raise RuntimeError(f"{name} takes half precision, got operands of {operands[0].dtype}")


def require_one_type(name: str, operands: Sequence[Any]) -> None:
    """Raise where operands have several floating types."""
    tensors = [one for one in tree_leaves(operands) if isinstance(one, Tensor)]
    dtypes = {one.dtype for one in tensors if one.is_floating_point()}
    if len(dtypes) > 1:
        raise RuntimeError(f"{name} got operands of {', '.join(sorted(map(str, dtypes)))}")


def _make_single(value: Any) -> Any:
    is_half = isinstance(value, Tensor) and value.dtype in HALVES
    return value.float() if is_half else value
