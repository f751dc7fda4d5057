"""The optimiser of a fine-tuning: groups of parameters, learning rates, averaged weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from recross.inference.network import Network
from recross.training.shared_weights import cut_like


@dataclass(frozen=True)
class Optimisation:
    """AdamW with linear warm-up over ``warmup_share`` of ``steps``, then linear decay to zero.

    ``head_learning_rate`` is for a freshly initialised head. With a ``layer_decay`` below 1 every
    layer learns that much more slowly than the one above it, the embeddings most slowly (ULMFiT,
    Howard & Ruder 2018; ELECTRA). With a ``first_stage_weight`` above 0 the loss sees the network's
    score plus that much of the first stage's, so that the network learns what the first stage
    misses.
    """

    steps: int
    learning_rate: float
    head_learning_rate: float | None
    weight_decay: float
    warmup_share: float
    max_grad_norm: float
    first_stage_weight: float
    layer_decay: float = 1.0

    def rate(self, step: int) -> float:
        """Share of the peak learning rate at a step."""
        warmup = max(1, round(self.steps * self.warmup_share))
        if step < warmup:
            return (step + 1) / warmup
        return max(0.0, (self.steps - step) / max(1, self.steps - warmup))

    def optimiser(
        self, network: Network, *, fused: bool = False, sharded: bool = False
    ) -> torch.optim.Optimizer:
        """AdamW over what requires a gradient; biases and norms are not decayed.

        ``fused``: in one kernel for all parameters, as a GPU wants it. ``sharded``: each process
        keeps the state of a share of the parameters, updates these, and sends them to the others.
        """
        groups: dict[tuple[float, float], list[nn.Parameter]] = {}
        depths = depth_of_parameters(network.stacks)
        lowest = max(map(len, network.stacks))
        for name, parameter in network.named_parameters():
            if parameter.requires_grad:
                if any(head in name for head in network.heads):
                    rate = self.head_learning_rate or self.learning_rate
                else:
                    depth = depths.get(parameter, lowest)
                    rate = self.learning_rate * self.layer_decay**depth
                decay = 0.0 if parameter.ndim < 2 else self.weight_decay
                groups.setdefault((rate, decay), []).append(parameter)
        parts = [
            {"params": parameters, "lr": rate, "weight_decay": decay}
            for (rate, decay), parameters in groups.items()
        ]
        kernel = True if fused else None
        if sharded:
            from torch.distributed.optim import ZeroRedundancyOptimizer  # imports slowly

            return ZeroRedundancyOptimizer(parts, torch.optim.AdamW, fused=kernel)
        return torch.optim.AdamW(parts, fused=kernel)


def restore_optimiser(optimizer: torch.optim.Optimizer, saved: Mapping[str, Any]) -> None:
    """Go on from a state that was saved, perhaps on another device: kernels stay one's own."""
    own = [group["fused"] for group in optimizer.param_groups]
    groups = [
        {**group, "fused": fused} for group, fused in zip(saved["param_groups"], own, strict=True)
    ]
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    state = {
        number: {
            name: cut_like(value, parameters[number]) if value.ndim else value
            for name, value in of_parameter.items()
        }
        for number, of_parameter in saved["state"].items()
    }
    optimizer.load_state_dict({"state": state, "param_groups": groups})


@dataclass(frozen=True)
class GeometricRise(Optimisation):
    """From ``lowest_share`` of the learning rate, by a constant factor a step, to all of it."""

    lowest_share: float = 1e-4

    def rate(self, step: int) -> float:
        """Share of the largest learning rate at a step."""
        done = min(step / max(1, self.steps - 1), 1.0)
        share: float = self.lowest_share ** (1 - done)
        return share


def depth_of_parameters(stacks: Sequence[Sequence[nn.Module]]) -> Mapping[nn.Parameter, int]:
    """How many layers of its stack are above that of a parameter; others are in no layer."""
    return {
        parameter: depth
        for stack in stacks
        for depth, layer in enumerate(reversed(stack))
        for parameter in layer.parameters()
    }


class AveragedWeights:
    """An exponential moving average of what is learned (Polyak & Juditsky 1992)."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self._decay = decay
        self._learned = [p for p in network.parameters() if p.requires_grad]
        self.averages: list[Tensor] = [p.detach().clone() for p in self._learned]

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights as they are after a step."""
        current: Any = [parameter.detach() for parameter in self._learned]
        torch._foreach_lerp_(self.averages, current, 1 - self._decay)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The network holds the averages inside the block, its own weights again after it."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    def restore(self, averages: Sequence[Tensor]) -> None:
        """Go on from averages that were saved."""
        self.averages = [
            cut_like(saved, average).to(average.device)
            for saved, average in zip(averages, self.averages, strict=True)
        ]

    @torch.no_grad()
    def _exchange(self) -> None:
        for parameter, average in zip(self._learned, self.averages, strict=True):
            kept = parameter.detach().clone()
            parameter.copy_(average)
            average.copy_(kept)
