"""BERT, ELECTRA, RoBERTa and XLM-RoBERTa without padding.

All sequences of a batch stand in one row of ``T`` tokens: linear layers, layer norms and GELU see
real tokens only, attention runs per group of sequences of equal length, and where only first tokens
are read, the last layer carries nothing else on. Exact: it equals the Hugging Face forward of the
same weights, for scoring and for training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recross.checkpoints.loaded import LoadedModule, Model, ModelConfig
from recross.inference.batches import PackedBatch, reads_segments
from recross.inference.encoders.affine import Affine, MakeAffine, layer_norm, refuse_use
from recross.inference.encoders.attention import Attention, attend_all, attend_first
from recross.inference.encoders.encoder import Computation, Encoder, PackedForward


class BertLayer(NamedTuple):
    """One transformer layer; ``query`` alone is used where only first tokens are carried on."""

    query: Affine
    key_value: Affine
    all_three: Affine
    attention_out: Affine
    attention_norm: nn.LayerNorm
    up: Affine
    down: Affine
    out_norm: nn.LayerNorm


@dataclass(frozen=True)
class BertFamily(Encoder):
    """BERT-like encoders; ``attribute`` is where a model with a head holds its encoder."""

    attribute: str
    attends_by_offsets: ClassVar[bool] = True
    classifiers: ClassVar[tuple[str, ...]] = ("ForSequenceClassification",)

    def supports(self, config: ModelConfig) -> bool:
        """Whether a config describes an encoder with absolute positions and GELU."""
        return (
            config.hidden_act == "gelu"
            and getattr(config, "position_embedding_type", "absolute") == "absolute"
            and not getattr(config, "is_decoder", False)
        )

    def positions(self, model: Model) -> int:
        """Rows of the position embeddings, of which RoBERTa leaves the first ones out."""
        return int(model.config.max_position_embeddings) - _first_position(model.config)

    def layers(self, model: Model) -> Sequence[nn.Module]:
        """The layers of the encoder."""
        return list(self.encoder(model).encoder.layer)

    def dropouts(self, config: ModelConfig) -> tuple[str, ...]:
        """Dropout of hidden states and of attention weights."""
        return ("hidden_dropout_prob", "attention_probs_dropout_prob")

    def build_forward(self, model: Model, computation: Computation) -> BertForward:
        """The forward of a bare encoder, or of a model that holds one."""
        encoder = self.encoder(model)
        modules = encoder.encoder.layer
        last = len(modules) - 1 if computation.first_only else None
        layers = [_make_layer(m, computation.make, n == last) for n, m in enumerate(modules)]
        return BertForward(model, encoder, layers, computation)

    def encoder(self, model: Model) -> Model:
        """The encoder within a model with a head; a bare encoder is its own."""
        encoder: Model = getattr(model, self.attribute, model)
        return encoder


class BertForward(PackedForward[BertLayer]):
    """The forward of one BERT-like model."""

    def __init__(
        self, model: Model, encoder: Model, layers: Sequence[BertLayer], computation: Computation
    ) -> None:
        super().__init__(model, layers, computation)
        self.encoder = encoder
        self.heads = int(model.config.num_attention_heads)

    def embed(self, batch: PackedBatch, dropout: float) -> Tensor:
        """Words, positions and segments; a model of one segment has all tokens in it."""
        config = self.model.config
        segments = batch.segments if reads_segments(config) else torch.zeros_like(batch.segments)
        embedded = self.encoder.embeddings(
            input_ids=batch.tokens[None],
            token_type_ids=segments[None],
            position_ids=batch.positions[None] + _first_position(config),
        )[0]
        projection = getattr(self.encoder, "embeddings_project", None)
        states: Tensor = embedded if projection is None else projection(embedded)
        return states.to(self.dtype)

    def attentions(self, batch: PackedBatch, dropout: float) -> Sequence[Attention]:
        """All alike; attention knows nothing of positions: they are embedded."""
        return [Attention(self.heads, batch.layout, dropout)] * len(self.layers)

    def through(self, layer: BertLayer, attention: Attention, states: Tensor) -> Tensor:
        """What leaves a layer, ``(T, D)``."""
        attended = attend_all(layer.all_three(states), attention)
        return _after_attention(layer, attended, states, attention.dropout)

    def through_at_first(
        self, layer: BertLayer, attention: Attention, states: Tensor, starts: Tensor
    ) -> Tensor:
        """What leaves the last layer at first tokens, ``(B, D)``."""
        first = states[starts]  # (B, D)
        attended = attend_first(layer.query(first), layer.key_value(states), attention, starts)
        return _after_attention(layer, attended, first, attention.dropout)

    def logits(self, batch: PackedBatch, dropout: float = 0.0) -> Tensor:
        """Logits of the head on the first token, ``(B, labels)``."""
        first = self.first_states(batch, dropout)
        first = first.float()  # pooling and head in full precision: they decide ties
        if self.model.config.model_type == "bert":
            pooled = F.dropout(self.encoder.pooler(first[:, None]), dropout, dropout > 0)
            logits: Tensor = self.model.classifier(pooled)
        else:
            logits = self.model.classifier(first[:, None])
        return logits


def _make_layer(layer: LoadedModule, make: MakeAffine, is_last: bool) -> BertLayer:
    attention = layer.attention.self
    query, key, value = attention.query, attention.key, attention.value
    return BertLayer(
        query=make([query]) if is_last else refuse_use,
        key_value=make([key, value]) if is_last else refuse_use,
        all_three=refuse_use if is_last else make([query, key, value]),
        attention_out=make([layer.attention.output.dense]),
        attention_norm=layer.attention.output.LayerNorm,
        up=make([layer.intermediate.dense]),
        down=make([layer.output.dense]),
        out_norm=layer.output.LayerNorm,
    )


def _first_position(config: ModelConfig) -> int:
    return config.pad_token_id + 1 if "roberta" in config.model_type else 0


def _after_attention(layer: BertLayer, attended: Tensor, states: Tensor, dropout: float) -> Tensor:
    out = F.dropout(layer.attention_out(attended), dropout, dropout > 0)
    states = layer_norm(layer.attention_norm, out + states)
    out = F.dropout(layer.down(layer.up(states, "gelu")), dropout, dropout > 0)
    return layer_norm(layer.out_norm, out + states)
