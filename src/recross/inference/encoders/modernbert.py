"""ModernBERT without padding (Warner et al. 2024): rotary positions, local and global attention.

Every layer normalises what it reads and adds to what it was given, so the sum that is handed on
stays in single precision. Most layers see a window around each token, every third one all of them;
both turn queries and keys by their positions, each by angles of its own. Exact: it equals the
Hugging Face forward of the same weights, for scoring and for training.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recross.checkpoints.loaded import LoadedModule, Model, ModelConfig
from recross.inference.batches import PackedBatch
from recross.inference.encoders.affine import Affine, MakeAffine, layer_norm
from recross.inference.encoders.attention import (
    Attention,
    Placement,
    attend_all,
    attend_first,
    average_sequences,
)
from recross.inference.encoders.encoder import Computation, Encoder, PackedForward
from recross.inference.encoders.rotary import Rotary


class ModernBertLayer(NamedTuple):
    """One layer; the first one does not normalise what it reads: the embeddings have been."""

    attention_norm: nn.LayerNorm | None
    all_three: Affine
    attention_out: Affine
    feed_forward_norm: nn.LayerNorm
    up_and_gate: Affine
    down: Affine


class ModernBertFamily(Encoder):
    """ModernBERT with GELU and rotary positions that are not scaled."""

    attends_by_offsets = True
    classifiers: ClassVar[tuple[str, ...]] = ("ForSequenceClassification",)

    def supports(self, config: ModelConfig) -> bool:
        """Whether a config describes ModernBERT as it was published."""
        kinds = {config.rope_parameters[kind]["rope_type"] for kind in set(config.layer_types)}
        return config.hidden_activation == "gelu" and kinds == {"default"}

    def positions(self, model: Model) -> int:
        """Tokens of the longest sequence that the model was trained on."""
        return int(model.config.max_position_embeddings)

    def layers(self, model: Model) -> Sequence[nn.Module]:
        """The layers of the encoder."""
        return list(_encoder(model).layers)

    def dropouts(self, config: ModelConfig) -> tuple[str, ...]:
        """Dropout in the feed-forward, of attention, of embeddings and in the classifier's head."""
        return ("mlp_dropout", "attention_dropout", "embedding_dropout", "classifier_dropout")

    def build_forward(self, model: Model, computation: Computation) -> ModernBertForward:
        """The forward of a bare encoder, or of a model that holds one."""
        layers = [_make_layer(layer, computation.make) for layer in _encoder(model).layers]
        return ModernBertForward(model, layers, computation)


class ModernBertForward(PackedForward[ModernBertLayer]):
    """The forward of one ModernBERT."""

    def __init__(
        self, model: Model, layers: Sequence[ModernBertLayer], computation: Computation
    ) -> None:
        super().__init__(model, layers, computation)
        self.encoder = _encoder(model)
        self.heads = int(model.config.num_attention_heads)

    def embed(self, batch: PackedBatch, dropout: float) -> Tensor:
        """Words, normalised; positions come in attention."""
        states: Tensor = self.encoder.embeddings(batch.tokens)
        return states.float()

    def attentions(self, batch: PackedBatch, dropout: float) -> Sequence[Attention]:
        """With the angles of each kind of layer, and the window of local ones."""
        config, positions = self.model.config, batch.positions[None]
        placed = {}
        for kind in set(config.layer_types):
            like = torch.empty(0, device=positions.device)  # the type and device of the angles
            cos, sin = self.encoder.rotary_emb(like, positions, kind)  # (1, T, d)
            window = config.sliding_window if kind == "sliding_attention" else None
            placement = Placement(rotary=Rotary(cos[0], sin[0]), window=window)
            placed[kind] = Attention(self.heads, batch.layout, dropout, placement)
        kinds = config.layer_types[: len(self.layers)]  # a cut model's config names them all
        return [placed[kind] for kind in kinds]

    def through(self, layer: ModernBertLayer, attention: Attention, states: Tensor) -> Tensor:
        """What leaves a layer, ``(T, D)``."""
        projected = layer.all_three(self._read(layer, states))
        attended = attend_all(projected, attention)
        return self._after_attention(layer, attended, states, attention.dropout)

    def through_at_first(
        self, layer: ModernBertLayer, attention: Attention, states: Tensor, starts: Tensor
    ) -> Tensor:
        """What leaves the last layer at first tokens, ``(B, D)``."""
        projected = layer.all_three(self._read(layer, states))  # (T, 3 D): one weight makes all
        width = states.shape[1]
        attended = attend_first(projected[starts, :width], projected[:, width:], attention, starts)
        return self._after_attention(layer, attended, states[starts], attention.dropout)

    def finish(self, states: Tensor, dropout: float) -> Tensor:
        """Apply the final layer norm to the last layer's states."""
        return layer_norm(self.encoder.final_norm, states)

    def logits(self, batch: PackedBatch, dropout: float = 0.0) -> Tensor:
        """Logits of the head, on the first token or on the mean of all, ``(B, labels)``."""
        if self.model.config.classifier_pooling == "mean":
            pooled = average_sequences(self.states(batch, dropout), batch.layout)
        else:
            pooled = self.first_states(batch, dropout)
        pooled = F.dropout(self.model.head(pooled), dropout, dropout > 0)
        logits: Tensor = self.model.classifier(pooled)
        return logits

    def _read(self, layer: ModernBertLayer, states: Tensor) -> Tensor:
        norm = layer.attention_norm
        return (states if norm is None else layer_norm(norm, states)).to(self.dtype)

    def _after_attention(
        self, layer: ModernBertLayer, attended: Tensor, states: Tensor, dropout: float
    ) -> Tensor:
        """Output projection and gated feed-forward, each added to what came before it."""
        on = dropout > 0
        states = states + F.dropout(layer.attention_out(attended), dropout, on)
        read = layer_norm(layer.feed_forward_norm, states).to(self.dtype)
        up, gate = layer.up_and_gate(read).chunk(2, dim=-1)
        return states + layer.down(F.dropout(F.gelu(up) * gate, dropout, on))


def _encoder(model: Model) -> Model:
    """The encoder within a model with a head; a bare encoder is its own."""
    encoder: Model = getattr(model, "model", model)
    return encoder


def _make_layer(layer: LoadedModule, make: MakeAffine) -> ModernBertLayer:
    norm = layer.attn_norm
    return ModernBertLayer(
        attention_norm=norm if isinstance(norm, nn.LayerNorm) else None,
        all_three=make([layer.attn.Wqkv]),
        attention_out=make([layer.attn.Wo]),
        feed_forward_norm=layer.mlp_norm,
        up_and_gate=make([layer.mlp.Wi]),
        down=make([layer.mlp.Wo]),
    )
