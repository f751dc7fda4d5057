"""The padding-free forward of BERT-like encoders.

All sequences of a batch stand in one row of ``T`` tokens: linear layers, layer norms and GELU see
real tokens only, attention runs per group of sequences of equal length, and in the last layer only
the first token of each sequence is carried on, since nothing else is read. Exact: it equals the
Hugging Face forward of the same weights, for scoring and for training.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from recross.inference.batches import PackedBatch
from recross.inference.encoders.affine import Affine, MakeAffine, unused
from recross.inference.encoders.attention import attend_all, attend_first

SUPPORTED = {"bert": "bert", "electra": "electra", "roberta": "roberta", "xlm-roberta": "roberta"}
"""model_type -> the attribute that holds the encoder."""


class Block(NamedTuple):
    """One transformer layer; ``query`` alone is used where only first tokens are carried on."""

    query: Affine
    key_value: Affine
    all_three: Affine
    attention_out: Affine
    attention_norm: nn.LayerNorm
    up: Affine
    down: Affine
    out_norm: nn.LayerNorm


def positions(config: Any) -> int:
    """Tokens that a sequence may have."""
    return int(config.max_position_embeddings) - _first_position(config)


def is_supported(model: Any) -> bool:
    """Whether a sequence classifier has the structure that ``forward`` computes."""
    classifies = type(model).__name__.endswith("ForSequenceClassification")
    return classifies and is_supported_encoder(model.config)


def is_supported_encoder(config: Any) -> bool:
    """Whether ``states`` computes the encoder that a config describes."""
    return (
        config.model_type in SUPPORTED
        and config.hidden_act == "gelu"
        and getattr(config, "position_embedding_type", "absolute") == "absolute"
        and not getattr(config, "is_decoder", False)
    )


def blocks(model: Any, make: MakeAffine, first_only: bool = True) -> list[Block]:
    """The encoder's layers, with linear layers as ``make`` gives them.

    ``first_only``: of the last layer only first tokens are wanted, as ``forward`` and
    ``first_states`` want them.
    """
    encoder = _encoder(model).encoder
    last = len(encoder.layer) - 1 if first_only else None
    return [_block(layer, make, index == last) for index, layer in enumerate(encoder.layer)]


def states(
    model: Any,
    layers: Sequence[Block],
    batch: PackedBatch,
    dtype: torch.dtype = torch.float32,
    dropout: float = 0.0,
    recompute: bool = False,
) -> Tensor:
    """The encoder's output at every token, ``(T, D)``.

    ``recompute`` keeps only the layers' outputs for the backward pass (Chen et al. 2016).
    """
    found = _embed(_encoder(model), model.config, batch).to(dtype)
    heads = model.config.num_attention_heads

    def through(layer: Block, found: Tensor) -> Tensor:
        attended = attend_all(layer.all_three(found), heads, batch.groups, dropout)
        return _after_attention(layer, attended, found, dropout)

    for layer in layers:
        if recompute:
            found = checkpoint(through, layer, found, use_reentrant=False)
        else:
            found = through(layer, found)
    return found


def first_states(
    model: Any,
    layers: Sequence[Block],
    batch: PackedBatch,
    dtype: torch.dtype = torch.float32,
    dropout: float = 0.0,
    recompute: bool = False,
) -> Tensor:
    """The encoder's output at the first token of each sequence, ``(B, D)``."""
    before = states(model, layers[:-1], batch, dtype, dropout, recompute)  # (T, D)
    heads, last = model.config.num_attention_heads, layers[-1]
    first = before[batch.starts]  # (B, D)
    attended = attend_first(last.query(first), last.key_value(before), heads, batch.groups, dropout)
    return _after_attention(last, attended, first, dropout)


def forward(
    model: Any,
    layers: Sequence[Block],
    batch: PackedBatch,
    dtype: torch.dtype = torch.float32,
    dropout: float = 0.0,
    recompute: bool = False,
) -> Tensor:
    """Logits ``(B, labels)`` in the order of the batch; ``dtype`` is that of the products."""
    first = first_states(model, layers, batch, dtype, dropout, recompute)
    return _head(model, _encoder(model), first, dropout)


def _encoder(model: Any) -> Any:
    """The encoder within a model with a head; a bare encoder is its own."""
    return getattr(model, SUPPORTED[model.config.model_type], model)


def _block(layer: Any, make: MakeAffine, is_last: bool) -> Block:
    attention = layer.attention.self
    query, key, value = attention.query, attention.key, attention.value
    out, norm = layer.attention.output.dense, layer.attention.output.LayerNorm
    return Block(
        query=make([query]) if is_last else unused,
        key_value=make([key, value]) if is_last else unused,
        all_three=unused if is_last else make([query, key, value]),
        attention_out=make([out]),
        attention_norm=norm,
        up=make([layer.intermediate.dense]),
        down=make([layer.output.dense]),
        out_norm=layer.output.LayerNorm,
    )


def _embed(encoder: Any, config: Any, batch: PackedBatch) -> Tensor:
    embedded = encoder.embeddings(
        input_ids=batch.tokens[None],
        token_type_ids=batch.segments[None],
        position_ids=batch.positions[None] + _first_position(config),
    )[0]
    projection = getattr(encoder, "embeddings_project", None)
    states: Tensor = embedded if projection is None else projection(embedded)
    return states


def _first_position(config: Any) -> int:
    return config.pad_token_id + 1 if "roberta" in config.model_type else 0


def _after_attention(layer: Block, attended: Tensor, states: Tensor, dropout: float) -> Tensor:
    out = F.dropout(layer.attention_out(attended), dropout, dropout > 0)
    states = _norm(layer.attention_norm, out + states)
    out = F.dropout(layer.down(layer.up(states, "gelu")), dropout, dropout > 0)
    return _norm(layer.out_norm, out + states)


def _norm(norm: nn.LayerNorm, states: Tensor) -> Tensor:
    """Layer norm in the states' type; torch computes it in single precision within."""
    weight: Tensor = norm.weight
    bias: Tensor = norm.bias
    if not _norms_mixed_dtypes(states.device):
        weight, bias = weight.to(states.dtype), bias.to(states.dtype)
    return F.layer_norm(states, norm.normalized_shape, weight, bias, norm.eps)


def _norms_mixed_dtypes(device: torch.device) -> bool:
    """Whether weights in single precision may norm states in half: CUDA refuses it."""
    return device.type == "cpu"


def _head(model: Any, encoder: Any, first: Tensor, dropout: float) -> Tensor:
    first = first.float()  # pooling and head in full precision: they decide ties
    if model.config.model_type == "bert":
        pooled = F.dropout(encoder.pooler(first[:, None]), dropout, dropout > 0)
        logits: Tensor = model.classifier(pooled)
    else:
        logits = model.classifier(first[:, None])
    return logits
