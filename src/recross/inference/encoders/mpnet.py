"""MPNet without padding (Song et al. 2020): BERT's layers, with a bias of relative positions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, nn

from recross.checkpoints.loaded import LoadedModule, Model, ModelConfig
from recross.inference.batches import PackedBatch
from recross.inference.encoders.attention import Attention, place_by_bias
from recross.inference.encoders.blocks import works_in_blocks
from recross.inference.encoders.encoder import BY_GROUPS, IN_BLOCKS, Computation, Encoder
from recross.inference.encoders.post_norm import LayerModules, PostNormForward
from recross.machine.hardware import Hardware

FIRST_POSITION = 2
"""Behind that of padding, which is 1 whatever a config says (transformers)."""


class MPNetFamily(Encoder):
    """MPNet with GELU."""

    classifiers: ClassVar[tuple[str, ...]] = ("ForSequenceClassification",)

    def supports(self, config: ModelConfig) -> bool:
        """Whether the feed-forward's activation is GELU."""
        return bool(config.hidden_act == "gelu")

    def positions(self, model: Model) -> int:
        """Rows of the position embeddings but the first two."""
        return int(model.config.max_position_embeddings) - FIRST_POSITION

    def layers(self, model: Model) -> Sequence[nn.Module]:
        """The layers of the encoder."""
        return list(_encoder(model).encoder.layer)

    def dropouts(self, config: ModelConfig) -> tuple[str, ...]:
        """Dropout of hidden states and of attention weights."""
        return ("hidden_dropout_prob", "attention_probs_dropout_prob")

    def name_attention(self, model: Model, hardware: Hardware) -> str:
        """Say which attention computes a model's states: with a bias, none goes by offsets."""
        return IN_BLOCKS if works_in_blocks(hardware.device) else BY_GROUPS

    def build_forward(self, model: Model, computation: Computation) -> MPNetForward:
        """The forward of a bare encoder, or of a model that holds one."""
        encoder = _encoder(model)
        modules = [_name_modules(layer) for layer in encoder.encoder.layer]
        return MPNetForward(model, encoder, modules, computation)


class MPNetForward(PostNormForward):
    """The forward of one MPNet."""

    def embed(self, batch: PackedBatch, dropout: float) -> Tensor:
        """Words and positions, normalised."""
        states: Tensor = self.encoder.embeddings(
            input_ids=batch.tokens[None], position_ids=batch.positions[None] + FIRST_POSITION
        )[0]
        return states.to(self.dtype)

    def attentions(self, batch: PackedBatch, dropout: float) -> Sequence[Attention]:
        """One relative bias for all layers; shorter sequences use its corner."""

        def compute_bias(length: int) -> Tensor:
            rows = batch.tokens.new_empty(1, length)  # the number and the device of tokens
            bias: Tensor = self.encoder.encoder.compute_position_bias(rows)[0]
            return bias.to(self.dtype)

        placement = place_by_bias(compute_bias, batch.layout)
        return [Attention(self.heads, batch.layout, dropout, placement)] * len(self.layers)

    def logits(self, batch: PackedBatch, dropout: float = 0.0) -> Tensor:
        """Logits of the head on the first token, ``(B, labels)``."""
        first = self.first_states(batch, dropout).float()
        logits: Tensor = self.model.classifier(first[:, None])
        return logits


def _encoder(model: Model) -> Model:
    """The encoder within a model with a head; a bare encoder is its own."""
    encoder: Model = getattr(model, "mpnet", model)
    return encoder


def _name_modules(layer: LoadedModule) -> LayerModules:
    attention = layer.attention.attn
    return LayerModules(
        query=attention.q,
        key=attention.k,
        value=attention.v,
        attention_out=attention.o,
        attention_norm=layer.attention.LayerNorm,
        up=layer.intermediate.dense,
        down=layer.output.dense,
        out_norm=layer.output.LayerNorm,
    )
