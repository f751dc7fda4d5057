"""DistilBERT without padding (Sanh et al. 2019): BERT's layers, no segments, a head of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from recross.checkpoints.loaded import LoadedModule, Model, ModelConfig
from recross.inference.batches import PackedBatch
from recross.inference.encoders.encoder import Computation, Encoder
from recross.inference.encoders.post_norm import LayerModules, PostNormForward


class DistilBertFamily(Encoder):
    """DistilBERT with GELU."""

    attends_by_offsets = True
    classifiers: ClassVar[tuple[str, ...]] = ("ForSequenceClassification",)

    def supports(self, config: ModelConfig) -> bool:
        """Whether the feed-forward's activation is GELU."""
        return bool(config.activation == "gelu")

    def positions(self, model: Model) -> int:
        """Rows of the position embeddings."""
        return int(model.config.max_position_embeddings)

    def layers(self, model: Model) -> Sequence[nn.Module]:
        """The layers of the encoder.

        Raises:
            InputError: there are not as many as the config says.
        """
        return list(_encoder(model).transformer.layer)

    def dropouts(self, config: ModelConfig) -> tuple[str, ...]:
        """Dropout of hidden states, of attention weights and in the classifier's head."""
        return ("dropout", "attention_dropout", "seq_classif_dropout")

    def build_forward(self, model: Model, computation: Computation) -> DistilBertForward:
        """The forward of a bare encoder, or of a model that holds one."""
        encoder = _encoder(model)
        modules = [_name_modules(layer) for layer in encoder.transformer.layer]
        return DistilBertForward(model, encoder, modules, computation)


class DistilBertForward(PostNormForward):
    """The forward of one DistilBERT."""

    def embed(self, batch: PackedBatch, dropout: float) -> Tensor:
        """Words and positions, normalised."""
        states: Tensor = self.encoder.embeddings(
            input_ids=batch.tokens[None], position_ids=batch.positions[None]
        )[0]
        return states.to(self.dtype)

    def logits(self, batch: PackedBatch, dropout: float = 0.0) -> Tensor:
        """Logits of the head on the first token, ``(B, labels)``."""
        first = self.first_states(batch, dropout).float()
        hidden = F.relu(self.model.pre_classifier(first))
        logits: Tensor = self.model.classifier(F.dropout(hidden, dropout, dropout > 0))
        return logits


def _encoder(model: Model) -> Model:
    """The encoder within a model with a head; a bare encoder is its own."""
    encoder: Model = getattr(model, "distilbert", model)
    return encoder


def _name_modules(layer: LoadedModule) -> LayerModules:
    return LayerModules(
        query=layer.attention.q_lin,
        key=layer.attention.k_lin,
        value=layer.attention.v_lin,
        attention_out=layer.attention.out_lin,
        attention_norm=layer.sa_layer_norm,
        up=layer.ffn.lin1,
        down=layer.ffn.lin2,
        out_norm=layer.output_layer_norm,
    )
