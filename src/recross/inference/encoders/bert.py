"""BERT, ELECTRA, RoBERTa and XLM-RoBERTa without padding.

All sequences of a batch stand in one row of ``T`` tokens: linear layers, layer norms and GELU see
real tokens only, attention runs per group of sequences of equal length, and where only first tokens
are read, the last layer carries nothing else on. Exact: it equals the Hugging Face forward of the
same weights, for scoring and for training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recross.checkpoints.loaded import LoadedModule, Model, ModelConfig
from recross.inference.batches import PackedBatch, reads_segments
from recross.inference.encoders.encoder import Computation, Encoder
from recross.inference.encoders.post_norm import LayerModules, PostNormForward


@dataclass(frozen=True)
class BertFamily(Encoder):
    """BERT-like encoders; ``attribute`` is where a model with a head holds its encoder."""

    attribute: str
    attends_by_offsets = True
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
        modules = [_name_modules(layer) for layer in encoder.encoder.layer]
        return BertForward(model, encoder, modules, computation)

    def encoder(self, model: Model) -> Model:
        """The encoder within a model with a head; a bare encoder is its own."""
        encoder: Model = getattr(model, self.attribute, model)
        return encoder


class BertForward(PostNormForward):
    """The forward of one BERT-like model."""

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


def _name_modules(layer: LoadedModule) -> LayerModules:
    attention = layer.attention.self
    return LayerModules(
        query=attention.query,
        key=attention.key,
        value=attention.value,
        attention_out=layer.attention.output.dense,
        attention_norm=layer.attention.output.LayerNorm,
        up=layer.intermediate.dense,
        down=layer.output.dense,
        out_norm=layer.output.LayerNorm,
    )


def _first_position(config: ModelConfig) -> int:
    return config.pad_token_id + 1 if "roberta" in config.model_type else 0
