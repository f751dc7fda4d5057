"""Causal language models without padding: Llama, Mistral, Qwen2, Qwen3 and Gemma.

They differ in little: norms of queries and keys (Qwen3), biases (Qwen2), windows (Mistral), norms
around one and scaled words (Gemma). Read at the last token, where every prompt ends, the last layer
carries nothing else on; what all prompts of a batch begin with is computed once. Exact: it equals
the Hugging Face forward of the same weights, for scoring and for training. The sum that is handed
on stays in single precision.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from recross.checkpoints.loaded import LoadedModule, Model, ModelConfig
from recross.inference.batches import PackedBatch
from recross.inference.encoders.affine import Activation, Affine, MakeAffine, hold_affine
from recross.inference.encoders.causal_attention import (
    CausalAttention,
    attend_back,
    attend_back_from_last,
)
from recross.inference.encoders.encoder import (
    BY_GROUPS,
    BY_OFFSETS,
    Computation,
    Encoder,
    EncoderForward,
)
from recross.inference.encoders.layer_passes import pass_through, within
from recross.inference.encoders.packed_attention import has_kernel_for
from recross.inference.encoders.rotary import Rotary, rotate
from recross.inference.encoders.shared_start import RestsBatch
from recross.machine.hardware import Hardware

GATE_ACTIVATIONS: dict[str, Activation] = {
    "silu": "silu",
    "gelu": "gelu",
    "gelu_pytorch_tanh": "gelu_tanh",
}
STEADY_ANGLES = ("default", "linear", "llama3", "yarn")
"""Rotary positions whose angles do not depend on how long a batch's sequences are."""


class DecoderLayer(NamedTuple):
    """One layer; queries and keys have norms in some families."""

    attention_norm: LoadedModule
    query: Affine
    key: Affine
    value: Affine
    query_norm: LoadedModule | None
    key_norm: LoadedModule | None
    attention_out: Affine
    feed_forward_norm: LoadedModule
    gate: Affine
    up: Affine
    down: Affine


class DecoderFamily(Encoder):
    """Decoders with rotary positions and a gated feed-forward, in which no token sees later ones.

    Their weights are large: where they are held in the type that is computed in, they are not
    copied.
    """

    classifiers = ("ForSequenceClassification",)

    def supports(self, config: ModelConfig) -> bool:
        """Whether angles, activation and attention are known ones."""
        rope = getattr(config, "rope_parameters", None) or {}  # other names before transformers 5
        return (
            rope.get("rope_type") in STEADY_ANGLES
            and rope.get("partial_rotary_factor", 1.0) == 1.0
            and config.hidden_act in GATE_ACTIVATIONS
            and not getattr(config, "use_bidirectional_attention", False)
        )

    def positions(self, model: Model) -> int:
        """Tokens of the longest sequence that the model was trained on."""
        return int(model.config.max_position_embeddings)

    def layers(self, model: Model) -> Sequence[nn.Module]:
        """The layers of the decoder."""
        return list(model.base_model.layers)

    def dropouts(self, config: ModelConfig) -> tuple[str, ...]:
        """Dropout of attention weights: there is no other."""
        return ("attention_dropout",)

    def frozen(
        self, model: Model, hardware: Hardware, *, first_only: bool = False
    ) -> EncoderForward:
        """The forward for scoring, over the weights where they are if their type is the one."""
        dtype = _choose_dtype(model, hardware.dtype)
        return self.forward(model, hold_affine(dtype), dtype)

    def name_attention(self, model: Model, hardware: Hardware) -> str:
        """Say which attention computes a model's states on hardware, for the record of a run."""
        dtype = _choose_dtype(model, hardware.dtype)
        return BY_OFFSETS if has_kernel_for(hardware.device, dtype) else BY_GROUPS

    def build_forward(self, model: Model, computation: Computation) -> DecoderForward:
        """The forward of a bare decoder, or of a model that holds one."""
        layers = [_make_layer(layer, computation.make) for layer in model.base_model.layers]
        return DecoderForward(model, layers, computation)


class DecoderForward(EncoderForward):
    """The forward of one decoder; of states at last tokens a common start is computed once."""

    def __init__(
        self, model: Model, layers: Sequence[DecoderLayer], computation: Computation
    ) -> None:
        config = model.config
        self.model, self.decoder = model, model.base_model
        self.layers, self.modules = layers, computation.modules
        self.dtype = _choose_dtype(model, computation.dtype)
        self.recompute = computation.recompute
        self.width = getattr(config, "head_dim", None) or (
            config.hidden_size // config.num_attention_heads
        )
        self.windows = _find_windows(config, len(layers))
        self.activation = GATE_ACTIVATIONS[config.hidden_act]

    def states(self, batch: PackedBatch, dropout: float = 0.0) -> Tensor:
        """The decoder's output at every token, ``(T, D)``."""
        rests = RestsBatch.without_start(batch)
        states = self._through(self.layers, rests, self._embed(rests), dropout)
        return self._finish(states)

    def first_states(self, batch: PackedBatch, dropout: float = 0.0) -> Tensor:
        """The decoder's output at first tokens ``(B, D)``, which see nothing but themselves."""
        return self.states(batch, dropout)[batch.starts]

    def last_states(self, batch: PackedBatch, dropout: float = 0.0) -> Tensor:
        """The decoder's output at the last token of each sequence, ``(B, D)``."""
        rests = RestsBatch.of(batch)
        before = self._through(self.layers[:-1], rests, self._embed(rests), dropout)
        last = partial(self._step_at_last, rests, dropout)
        return self._finish(within(self.modules[-1], last)(before))

    def _step_at_last(self, rests: RestsBatch, dropout: float, before: Tensor) -> Tensor:
        """What leaves the last layer at last tokens, ``(B, D)``."""
        attention = CausalAttention(rests, self.windows[-1], dropout)
        layer, rotary = self.layers[-1], self._turn(rests)
        read = self._read(layer.attention_norm, before)
        query = self._split(
            layer.query(read[rests.lasts]), layer.query_norm, rotary.take(rests.lasts)
        )
        key = self._split(layer.key(read), layer.key_norm, rotary)
        attended = attend_back_from_last(query, key, self._split(layer.value(read)), attention)
        return self._after_attention(layer, attended, before[rests.lasts])

    def logits(self, batch: PackedBatch, dropout: float = 0.0) -> Tensor:
        """Logits of the head on the last token, ``(B, labels)``."""
        logits: Tensor = self.model.score(self.last_states(batch, dropout))
        return logits

    def _embed(self, rests: RestsBatch) -> Tensor:
        """Words, scaled where a family does; positions come in attention."""
        words: Tensor = self.decoder.embed_tokens(rests.tokens)
        return words.float()

    def _turn(self, rests: RestsBatch) -> Rotary:
        """The angles of every token, in single precision."""
        like = torch.empty(0, device=rests.positions.device)
        cos, sin = self.decoder.rotary_emb(like, rests.positions[None])  # (1, T, d)
        return Rotary(cos[0], sin[0])

    def _through(
        self, layers: Sequence[DecoderLayer], rests: RestsBatch, states: Tensor, dropout: float
    ) -> Tensor:
        rotary = self._turn(rests)
        steps = [
            partial(self._step, layer, CausalAttention(rests, window, dropout), rotary)
            for layer, window in zip(layers, self.windows, strict=False)
        ]
        return pass_through(steps, self.modules, states, self.recompute)

    def _step(
        self, layer: DecoderLayer, attention: CausalAttention, rotary: Rotary, states: Tensor
    ) -> Tensor:
        """What leaves a layer, ``(T, D)``."""
        read = self._read(layer.attention_norm, states)
        query = self._split(layer.query(read), layer.query_norm, rotary)
        key = self._split(layer.key(read), layer.key_norm, rotary)
        attended = attend_back(query, key, self._split(layer.value(read)), attention)
        return self._after_attention(layer, attended, states)

    def _split(
        self, projected: Tensor, norm: LoadedModule | None = None, rotary: Rotary | None = None
    ) -> Tensor:
        """One head beside the other, ``(T, heads, d)``, normed and turned if need be."""
        each = projected.view(len(projected), -1, self.width)
        normed: Tensor = each if norm is None else norm(each)
        if rotary is None:
            return normed
        turned = rotate(normed.flatten(1), each.shape[1], rotary)
        return turned.view_as(each).to(projected.dtype)

    def _after_attention(self, layer: DecoderLayer, attended: Tensor, states: Tensor) -> Tensor:
        """Output projection and gated feed-forward, each added to what came before it."""
        states = states + layer.attention_out(attended)
        read = self._read(layer.feed_forward_norm, states)
        return states + layer.down(layer.gate(read, self.activation) * layer.up(read))

    def _read(self, norm: LoadedModule, states: Tensor) -> Tensor:
        normed: Tensor = norm(states)
        return normed.to(self.dtype)

    def _finish(self, states: Tensor) -> Tensor:
        normed: Tensor = self.decoder.norm(states)
        return normed


def _choose_dtype(model: Model, asked: torch.dtype) -> torch.dtype:
    """The type to compute in: weights that are held in half precision are not made single."""
    held: torch.dtype = model.dtype
    return held if asked == torch.float32 else asked


def _find_windows(config: ModelConfig, layers: int) -> list[int | None]:
    """How many tokens back each layer sees; those of a config count the token itself."""
    size = getattr(config, "sliding_window", None)
    kinds = getattr(config, "layer_types", None) or ["sliding_attention"] * layers
    near = None if size is None else int(size) - 1
    return [near if kind == "sliding_attention" else None for kind in kinds[:layers]]


def _make_layer(layer: LoadedModule, make: MakeAffine) -> DecoderLayer:
    attention, feed_forward = layer.self_attn, layer.mlp
    return DecoderLayer(
        attention_norm=layer.input_layernorm,
        query=make([attention.q_proj]),
        key=make([attention.k_proj]),
        value=make([attention.v_proj]),
        query_norm=getattr(attention, "q_norm", None),
        key_norm=getattr(attention, "k_norm", None),
        attention_out=make([attention.o_proj]),
        feed_forward_norm=layer.post_attention_layernorm,
        gate=make([feed_forward.gate_proj]),
        up=make([feed_forward.up_proj]),
        down=make([feed_forward.down_proj]),
    )
