"""Encoders of any family under a head of modules: what a ``PooledClassifier`` computes."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from recross.checkpoints.loaded import Model, ModelConfig
from recross.inference.batches import PackedBatch
from recross.inference.encoders.encoder import Computation, Encoder, EncoderForward
from recross.inference.encoders.poolings import pool
from recross.machine.hardware import Hardware


class HeadedFamily(Encoder):
    """The family of the encoder beneath a head of modules; the head is the same for all."""

    classifiers = ("PooledClassifier",)

    def __init__(self, family: Encoder) -> None:
        self.family = family
        self.packs = family.packs
        self.attends_by_offsets = family.attends_by_offsets
        self.precisions = family.precisions

    def supports(self, config: ModelConfig) -> bool:
        """Whether the family computes the encoder that a config describes."""
        return self.family.supports(config)

    def positions(self, model: Model) -> int | None:
        """How many tokens a sequence may have."""
        return self.family.positions(model.encoder)

    def layers(self, model: Model) -> Sequence[nn.Module]:
        """The encoder's layers."""
        return self.family.layers(model.encoder)

    def list_apart(self, model: Model) -> Sequence[nn.Module]:
        """What the encoder calls apart from its layers."""
        return self.family.list_apart(model.encoder)

    def dropouts(self, config: ModelConfig) -> tuple[str, ...]:
        """The encoder's dropouts; its head has none."""
        return self.family.dropouts(config)

    def can_recompute(self, model: Model) -> bool:
        """Whether the encoder's activations can be computed a second time."""
        return self.family.can_recompute(model.encoder)

    def name_attention(self, model: Model, hardware: Hardware) -> str:
        """Say which attention computes the encoder's states on hardware."""
        return self.family.name_attention(model.encoder, hardware)

    def frozen(
        self, model: Model, hardware: Hardware, *, first_only: bool = False
    ) -> HeadedForward:
        """The encoder's forward for scoring, under the head."""
        first_only = model.pooling == "cls" and first_only
        encoder = self.family.frozen(model.encoder, hardware, first_only=first_only)
        return HeadedForward(model, encoder)

    def build_forward(self, model: Model, computation: Computation) -> HeadedForward:
        """The encoder's forward, and the head on what the pooling takes of it."""
        first_only = model.pooling == "cls" and computation.first_only
        encoder = self.family.build_forward(
            model.encoder, computation._replace(first_only=first_only)
        )
        return HeadedForward(model, encoder)


class HeadedForward(EncoderForward):
    """The forward of one encoder and its head."""

    def __init__(self, model: Model, encoder: EncoderForward) -> None:
        self.model = model
        self.encoder = encoder
        self.calls_vary = encoder.calls_vary

    def states(self, batch: PackedBatch, dropout: float = 0.0) -> Tensor:
        """The encoder's output at every token, ``(T, D)``."""
        return self.encoder.states(batch, dropout)

    def first_states(self, batch: PackedBatch, dropout: float = 0.0) -> Tensor:
        """The encoder's output at the first token of each sequence, ``(B, D)``."""
        return self.encoder.first_states(batch, dropout)

    def last_states(self, batch: PackedBatch, dropout: float = 0.0) -> Tensor:
        """The encoder's output at the last token of each sequence, ``(B, D)``."""
        return self.encoder.last_states(batch, dropout)

    def logits(self, batch: PackedBatch, dropout: float = 0.0) -> Tensor:
        """What the head makes of each sequence's vector, ``(B, 1)``, in single precision."""
        pooled = pool(self.encoder, (self.model.pooling,), batch, dropout)
        logits: Tensor = self.model.head(pooled.float())
        return logits
