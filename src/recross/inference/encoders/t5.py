"""The encoder of T5 and mT5 without padding.

All sequences of a batch stand in one row of ``T`` tokens; the relative position bias of each length
is a slice of one table. Exact: it equals the Hugging Face forward.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from recross.checkpoints.loaded import LoadedModule, Model, ModelConfig
from recross.inference.batches import PackedBatch
from recross.inference.encoders.affine import (
    Activation,
    Affine,
    MakeAffine,
    norm_mean_square,
    refuse_use,
)
from recross.inference.encoders.attention import (
    Attention,
    attend_all,
    attend_first,
    place_by_bias,
)
from recross.inference.encoders.blocks import works_in_blocks
from recross.inference.encoders.encoder import (
    BY_GROUPS,
    IN_BLOCKS,
    Computation,
    Encoder,
    PackedForward,
)
from recross.machine.backends import Precision
from recross.machine.hardware import Hardware

ACTIVATIONS: dict[str, Activation] = {"relu": "relu", "gelu_new": "gelu_tanh", "gelu": "gelu"}


class T5Layer(NamedTuple):
    """One encoder layer; the single projections serve where only first tokens are carried on."""

    attention_norm: LoadedModule
    query: Affine
    key_value: Affine
    all_three: Affine
    attention_out: Affine
    feed_forward_norm: LoadedModule
    up: Affine
    gate: Affine | None
    down: Affine


@dataclass(frozen=True)
class T5Family(Encoder):
    """Encoders of T5 and mT5, with a decoder, with a head on tokens, or bare."""

    # trained in bfloat16; its activations leave the range of fp16 (transformers #4586)
    precisions: tuple[Precision, ...] = ("fp32", "bf16")
    classifiers: ClassVar[tuple[str, ...]] = ("ForTokenClassification",)

    def supports(self, config: ModelConfig) -> bool:
        """Whether the feed-forward's activation is a known one."""
        return config.dense_act_fn in ACTIVATIONS

    def list_apart(self, model: Model) -> Sequence[nn.Module]:
        """The biases of relative positions: the first layer of a stack holds those of all."""
        stacks = [model.get_encoder(), *([model.decoder] if hasattr(model, "decoder") else [])]
        firsts = [stack.block[0].layer[0].SelfAttention for stack in stacks]
        return [attention.relative_attention_bias for attention in firsts]

    def positions(self, model: Model) -> None:
        """Any number of tokens: positions are relative, and far ones share a bias."""

    def layers(self, model: Model) -> Sequence[nn.Module]:
        """The blocks of the encoder."""
        return list(model.get_encoder().block)

    def dropouts(self, config: ModelConfig) -> tuple[str, ...]:
        """The one dropout that there is."""
        return ("dropout_rate",)

    def name_attention(self, model: Model, hardware: Hardware) -> str:
        """Say which attention computes a model's states: with a bias, none goes by offsets."""
        return IN_BLOCKS if works_in_blocks(hardware.device) else BY_GROUPS

    def build_forward(self, model: Model, computation: Computation) -> T5Forward:
        """The forward of the encoder within a model."""
        blocks = model.get_encoder().block
        last = len(blocks) - 1 if computation.first_only else None
        layers = [_make_layer(block, computation.make, n == last) for n, block in enumerate(blocks)]
        return T5Forward(model, layers, computation)


class T5Forward(PackedForward[T5Layer]):
    """The forward of one T5 encoder; the residual stream stays in fp32, since it is large."""

    def embed(self, batch: PackedBatch, dropout: float) -> Tensor:
        """Embed the tokens; positions are added within attention."""
        words = self.model.get_encoder().embed_tokens(batch.tokens).float()
        return F.dropout(words, dropout, dropout > 0)

    def attentions(self, batch: PackedBatch, dropout: float) -> Sequence[Attention]:
        """One relative bias for all layers; shorter sequences use its corner."""
        attention = self.model.get_encoder().block[0].layer[0].SelfAttention

        def compute_bias(length: int) -> Tensor:
            bias: Tensor = attention.compute_bias(length, length)[0]  # (heads, L, L)
            return bias.to(self.dtype)

        placement = place_by_bias(compute_bias, batch.layout)
        heads = self.model.config.num_heads
        return [Attention(heads, batch.layout, dropout, placement, 1.0)] * len(self.layers)

    def through(self, layer: T5Layer, attention: Attention, states: Tensor) -> Tensor:
        """What leaves a layer, ``(T, D)``."""
        normed = norm_mean_square(layer.attention_norm, states).to(self.dtype)
        attended = attend_all(layer.all_three(normed), attention)
        return self._after_attention(layer, attended, states, attention.dropout)

    def through_at_first(
        self, layer: T5Layer, attention: Attention, states: Tensor, starts: Tensor
    ) -> Tensor:
        """What leaves the last layer at first tokens, ``(B, D)``."""
        normed = norm_mean_square(layer.attention_norm, states).to(self.dtype)
        queries = layer.query(normed[starts])
        attended = attend_first(queries, layer.key_value(normed), attention, starts)
        return self._after_attention(layer, attended, states[starts], attention.dropout)

    def finish(self, states: Tensor, dropout: float) -> Tensor:
        """Apply the final norm, then dropout, to the last layer's states."""
        normed = norm_mean_square(self.model.get_encoder().final_layer_norm, states)
        return F.dropout(normed, dropout, dropout > 0)

    def logits(self, batch: PackedBatch, dropout: float = 0.0) -> Tensor:
        """Logits of a linear head on the first token, ``(B, labels)``."""
        first = self.first_states(batch, dropout)
        logits: Tensor = self.model.classifier(first.float())
        return logits

    def _after_attention(
        self, layer: T5Layer, attended: Tensor, states: Tensor, dropout: float
    ) -> Tensor:
        """Apply a layer's output projection and its feed-forward part."""
        on = dropout > 0
        states = states + F.dropout(layer.attention_out(attended), dropout, on)
        normed = norm_mean_square(layer.feed_forward_norm, states).to(attended.dtype)
        up = layer.up(normed, ACTIVATIONS[self.model.config.dense_act_fn])
        if layer.gate is not None:
            up = up * layer.gate(normed)
        return states + F.dropout(layer.down(F.dropout(up, dropout, on)), dropout, on)


def is_gated(feed_forward: LoadedModule) -> bool:
    """Whether a gate multiplies what goes up: in T5 1.1 and mT5."""
    return hasattr(feed_forward, "wi_0")


def _make_layer(block: LoadedModule, make: MakeAffine, is_last: bool) -> T5Layer:
    attention, feed_forward = block.layer[0].SelfAttention, block.layer[-1].DenseReluDense
    gated = is_gated(feed_forward)
    return T5Layer(
        attention_norm=block.layer[0].layer_norm,
        query=make([attention.q]) if is_last else refuse_use,
        key_value=make([attention.k, attention.v]) if is_last else refuse_use,
        all_three=refuse_use if is_last else make([attention.q, attention.k, attention.v]),
        attention_out=make([attention.o]),
        feed_forward_norm=block.layer[-1].layer_norm,
        up=make([feed_forward.wi_0 if gated else feed_forward.wi]),
        gate=make([feed_forward.wi_1]) if gated else None,
        down=make([feed_forward.wo]),
    )
