"""Passes through layers: what is kept of them for the backward pass, and whose weights they read.

Processes that train together may share the weights: each keeps a part, and a layer is whole while
it computes. Torch gathers a layer's weights where its module is called (FSDP, Zhao et al. 2023).
The forwards here read weights themselves: they go through ``within``, which gathers them likewise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

_Result = TypeVar("_Result")

_METHOD = "compute_gathered"


def pass_through(
    steps: Sequence[Callable[[Tensor], Tensor]],
    modules: Sequence[nn.Module],
    states: Tensor,
    recompute: bool,
) -> Tensor:
    """Apply one layer after the other, keeping for the backward pass what ``recompute`` leaves.

    ``modules`` hold the layers' weights; there may be more of them than ``steps``.
    """
    for step, module in zip(steps, modules, strict=False):
        if recompute and torch.is_grad_enabled():
            step = partial(checkpoint, step, use_reentrant=False)
        states = within(module, step)(states)
    return states


def within(module: nn.Module, compute: Callable[..., _Result]) -> Callable[..., _Result]:
    """The same function, during which the module's weights are whole if processes share them.

    The gradients that it adds are then shared as well.
    """
    gathered = getattr(module, _METHOD, None)
    return compute if gathered is None else partial(gathered, compute)


def gather_within(module: nn.Module) -> None:
    """Let ``within`` gather the weights of a module that torch has shared."""
    from torch.distributed.fsdp import register_fsdp_forward_method  # imports slowly

    setattr(module, _METHOD, _compute)
    register_fsdp_forward_method(module, _METHOD)


def _compute(compute: Callable[..., _Result], *states: object) -> _Result:
    return compute(*states)
