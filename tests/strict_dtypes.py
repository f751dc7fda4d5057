"""Refuses on a processor what CUDA refuses: operands of two floating types in one operation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

PRODUCTS = {"addbmm", "addmm", "addmv", "baddbmm", "bmm", "dot", "linear", "matmul", "mm", "mv"}
PRODUCTS |= {"bilinear", "einsum", "linear_backward"}
NORMS = {"layer_norm", "native_layer_norm", "native_layer_norm_backward"}
ATTENTION = ("scaled_dot_product", "_scaled_dot_product")


class StrictDtypes(TorchDispatchMode):
    """Raises where a matrix product, a layer norm or attention sees two floating types.

    Sums and products of elements are free to mix, since CUDA promotes them as a processor does.
    With ``autocast`` layer norms are free, too: CUDA's autocast computes them in single precision,
    while a processor's leaves them alone. ``watched`` counts what was looked at.
    """

    def __init__(self, autocast: bool = False) -> None:
        super().__init__()
        self.refused = PRODUCTS if autocast else PRODUCTS | NORMS
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
        if name in self.refused or attends:
            self.watched[name] += 1
            _require_one_type(name, [args, kwargs or {}])
        return func(*args, **(kwargs or {}))


def _require_one_type(name: str, operands: Sequence[Any]) -> None:
    tensors = [one for one in tree_leaves(operands) if isinstance(one, Tensor)]
    dtypes = {one.dtype for one in tensors if one.is_floating_point()}
    if len(dtypes) > 1:
        raise RuntimeError(f"{name} got operands of {', '.join(sorted(map(str, dtypes)))}")
