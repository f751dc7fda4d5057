"""The last products of a network, in single precision whatever autocast asks for.

A number in bf16 has eight significant bits, so that scores between 16 and 32 would lie an eighth
apart: documents tie that are not equal, and what a loss sees is rounded. What comes before the last
product may be computed in half precision; that product itself may not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recross.checkpoints.loaded import Model


def in_single_precision(device: torch.device) -> AbstractContextManager[object]:
    """Products inside the block are in the type of what they multiply, also under autocast."""
    if not torch.is_autocast_enabled(device.type):
        return nullcontext()
    return torch.autocast(device.type, enabled=False)


def multiply_exactly(states: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """What a linear layer makes of states, computed and returned in single precision."""
    with in_single_precision(states.device):
        return F.linear(states.float(), weight.float(), None if bias is None else bias.float())


class ExactLinear(nn.Linear):
    """A linear layer that leaves autocast, and makes single precision of weights held in half."""

    def forward(self, states: Tensor) -> Tensor:
        """Apply the layer to ``(..., D)`` in single precision."""
        return multiply_exactly(states, self.weight, self.bias)


class OutputLayer(nn.Linear):
    """The output layer of a language model, of whose rows a few can be asked for (``reading``).

    Those are computed in single precision, and no others; with none asked for it is the layer that
    it was, whose vocabulary may be too large to be copied.
    """

    def forward(self, states: Tensor) -> Tensor:
        """Logits of the pieces that are read ``(..., C)``, else of the whole vocabulary."""
        rows = _ROWS.get()
        if rows is None:
            return super().forward(states)
        return multiply_exactly(
            states, self.weight[rows], None if self.bias is None else self.bias[rows]
        )


_ROWS: ContextVar[Tensor | None] = ContextVar("rows of the output layer", default=None)


@contextmanager
def reading(rows: Tensor) -> Iterator[None]:
    """Output layers compute these rows alone inside the block, in this thread."""
    before = _ROWS.set(rows)
    try:
        yield
    finally:
        _ROWS.reset(before)


def pick_rows(model: Model, logits: Tensor, rows: Tensor) -> Tensor:
    """Logits of the rows, ``(..., C)``, of what a model said while they were read."""
    return logits if isinstance(model.get_output_embeddings(), OutputLayer) else logits[..., rows]


def make_heads_exact(model: Model, names: Sequence[str]) -> None:
    """Let the head of a model compute in single precision from now on; its weights stay.

    The head is what lies outside of the model's encoder, or has one of ``names`` in its own name.
    """
    base = model.base_model
    inside = {id(module) for module in base.modules()}
    for name, module in model.named_modules():
        is_head = id(module) not in inside or any(head in name for head in names)
        if is_head and type(module) is nn.Linear:
            module.__class__ = ExactLinear
    output = model.get_output_embeddings()
    if type(output) in (nn.Linear, ExactLinear):
        output.__class__ = OutputLayer
