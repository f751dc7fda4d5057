"""Layers that norm what they have added up, as BERT's do: its relatives differ around them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from recross.checkpoints.loaded import Model
from recross.inference.batches import PackedBatch
from recross.inference.encoders.affine import Affine, MakeAffine, layer_norm, refuse_use
from recross.inference.encoders.attention import Attention, attend_all, attend_first
from recross.inference.encoders.encoder import Computation, PackedForward


class PostNormLayer(NamedTuple):
    """One transformer layer; ``query`` alone is used where only first tokens are carried on."""

    query: Affine
    key_value: Affine
    all_three: Affine
    attention_out: Affine
    attention_norm: nn.LayerNorm
    up: Affine
    down: Affine
    out_norm: nn.LayerNorm


class LayerModules(NamedTuple):
    """The modules of a layer of transformers, whatever its family calls them."""

    query: nn.Linear
    key: nn.Linear
    value: nn.Linear
    attention_out: nn.Linear
    attention_norm: nn.LayerNorm
    up: nn.Linear
    down: nn.Linear
    out_norm: nn.LayerNorm

    def over(self, make: MakeAffine, is_last: bool) -> PostNormLayer:
        """The layer over linear layers as ``make`` gives them.

        ``is_last``: only first tokens are carried on.
        """
        three = [self.query, self.key, self.value]
        return PostNormLayer(
            query=make(three[:1]) if is_last else refuse_use,
            key_value=make(three[1:]) if is_last else refuse_use,
            all_three=refuse_use if is_last else make(three),
            attention_out=make([self.attention_out]),
            attention_norm=self.attention_norm,
            up=make([self.up]),
            down=make([self.down]),
            out_norm=self.out_norm,
        )


class PostNormForward(PackedForward[PostNormLayer]):
    """The forward of one encoder of such layers with GELU; ``encoder`` is the bare one within."""

    def __init__(
        self,
        model: Model,
        encoder: Model,
        modules: Sequence[LayerModules],
        computation: Computation,
    ) -> None:
        last = len(modules) - 1 if computation.first_only else None
        layers = [m.over(computation.make, n == last) for n, m in enumerate(modules)]
        super().__init__(model, layers, computation)
        self.encoder = encoder
        self.heads = int(model.config.num_attention_heads)

    def attentions(self, batch: PackedBatch, dropout: float) -> Sequence[Attention]:
        """All alike; attention knows nothing of positions: they are embedded."""
        return [Attention(self.heads, batch.layout, dropout)] * len(self.layers)

    def through(self, layer: PostNormLayer, attention: Attention, states: Tensor) -> Tensor:
        """What leaves a layer, ``(T, D)``."""
        attended = attend_all(layer.all_three(states), attention)
        return _after_attention(layer, attended, states, attention.dropout)

    def through_at_first(
        self, layer: PostNormLayer, attention: Attention, states: Tensor, starts: Tensor
    ) -> Tensor:
        """What leaves the last layer at first tokens, ``(B, D)``."""
        first = states[starts]  # (B, D)
        attended = attend_first(layer.query(first), layer.key_value(states), attention, starts)
        return _after_attention(layer, attended, first, attention.dropout)


def _after_attention(
    layer: PostNormLayer, attended: Tensor, states: Tensor, dropout: float
) -> Tensor:
    out = F.dropout(layer.attention_out(attended), dropout, dropout > 0)
    states = layer_norm(layer.attention_norm, out + states)
    out = F.dropout(layer.down(layer.up(states, "gelu")), dropout, dropout > 0)
    return layer_norm(layer.out_norm, out + states)
