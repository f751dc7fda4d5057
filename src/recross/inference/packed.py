"""The padding-free forward of BERT-like encoders.

All sequences of a batch stand in one row of ``T`` tokens: linear layers, layer norms and GELU see
real tokens only, attention runs per group of sequences of equal length, and in the last layer only
the first token of each sequence is carried on, since nothing else is read. Exact: it equals the
Hugging Face forward of the same weights, for scoring and for training.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recross.inference.batches import PackedBatch

Affine = Callable[[Tensor, bool], Tensor]
"""A linear layer; the flag asks for GELU on its output."""

MakeAffine = Callable[[Sequence[nn.Linear]], Affine]
"""Fuses linear layers that read one input; outputs stand side by side."""

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


def is_supported(model: Any) -> bool:
    """Whether a sequence classifier has the structure that this forward computes."""
    config = model.config
    return (
        config.model_type in SUPPORTED
        and type(model).__name__.endswith("ForSequenceClassification")
        and config.hidden_act == "gelu"
        and getattr(config, "position_embedding_type", "absolute") == "absolute"
        and not getattr(config, "is_decoder", False)
    )


@dataclass(frozen=True)
class LiveAffine:
    """Uses the layers' own parameters, as they are at every call: for training."""

    layers: Sequence[nn.Linear]

    def __call__(self, states: Tensor, gelu: bool) -> Tensor:
        """Apply the fused layers."""
        if len(self.layers) == 1:
            out: Tensor = self.layers[0](states)
        else:
            weight = torch.cat([layer.weight for layer in self.layers])
            bias = torch.cat([layer.bias for layer in self.layers])
            out = F.linear(states, weight, bias)
        return F.gelu(out) if gelu else out


def frozen_affine(dtype: torch.dtype, rows: int) -> MakeAffine:
    """Copy weights once, in ``dtype`` and blocked for products of about ``rows`` tokens.

    The blocked form (oneDNN) is reached through operators that torch's own compiler uses; where
    they are missing, the product is an ordinary one.
    """

    def make(layers: Sequence[nn.Linear]) -> Affine:
        weight = torch.cat([layer.weight.detach() for layer in layers]).to(dtype)
        bias = torch.cat([layer.bias.detach() for layer in layers]).to(dtype)
        if weight.device.type == "cpu" and _has_blocked_linear():
            blocked = torch.ops.mkldnn._reorder_linear_weight(weight, rows)

            def apply(states: Tensor, gelu: bool) -> Tensor:
                after = "gelu" if gelu else "none"
                out: Tensor = torch.ops.mkldnn._linear_pointwise(
                    states, blocked, bias, after, [], "none" if gelu else ""
                )
                return out

            return apply

        def plain(states: Tensor, gelu: bool) -> Tensor:
            out = F.linear(states, weight, bias)
            return F.gelu(out) if gelu else out

        return plain

    return make


def blocks(model: Any, make: MakeAffine) -> list[Block]:
    """The encoder's layers, with linear layers as ``make`` gives them."""
    encoder = getattr(model, SUPPORTED[model.config.model_type]).encoder
    last = len(encoder.layer) - 1
    return [_block(layer, make, index == last) for index, layer in enumerate(encoder.layer)]


def forward(
    model: Any,
    layers: Sequence[Block],
    batch: PackedBatch,
    dtype: torch.dtype = torch.float32,
    dropout: float = 0.0,
) -> Tensor:
    """Logits ``(B, labels)`` in the order of the batch; ``dtype`` is that of the products."""
    encoder = getattr(model, SUPPORTED[model.config.model_type])
    states = _embed(encoder, model.config, batch).to(dtype)  # (T, D)
    heads = model.config.num_attention_heads
    for layer in layers[:-1]:
        attended = _attend_all(layer.all_three(states, False), heads, batch.groups, dropout)
        states = _after_attention(layer, attended, states, dropout)
    last = layers[-1]
    first = states[batch.starts]  # (B, D)
    attended = _attend_first(
        last.query(first, False), last.key_value(states, False), heads, batch.groups, dropout
    )
    first = _after_attention(last, attended, first, dropout)
    return _head(model, encoder, first, dropout)


def _block(layer: Any, make: MakeAffine, is_last: bool) -> Block:
    attention = layer.attention.self
    query, key, value = attention.query, attention.key, attention.value
    out, norm = layer.attention.output.dense, layer.attention.output.LayerNorm
    unused: Affine = _never
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


def _never(_states: Tensor, _gelu: bool) -> Tensor:
    raise AssertionError("this layer's projection is not part of the forward")


def _embed(encoder: Any, config: Any, batch: PackedBatch) -> Tensor:
    offset = config.pad_token_id + 1 if SUPPORTED[config.model_type] == "roberta" else 0
    embedded = encoder.embeddings(
        input_ids=batch.tokens[None],
        token_type_ids=batch.segments[None],
        position_ids=batch.positions[None] + offset,
    )[0]
    projection = getattr(encoder, "embeddings_project", None)
    states: Tensor = embedded if projection is None else projection(embedded)
    return states


def _attend_all(
    projected: Tensor, heads: int, groups: Sequence[tuple[int, int]], dropout: float
) -> Tensor:
    """Attend within each sequence; ``projected`` is ``(T, 3 D)``."""
    parts, start = [], 0
    for count, length in groups:
        rows = projected[start : start + count * length]
        query, key, value = rows.view(count, length, 3, heads, -1).permute(2, 0, 3, 1, 4)
        out = F.scaled_dot_product_attention(query, key, value, dropout_p=dropout)
        parts.append(out.transpose(1, 2).reshape(count * length, -1))
        start += count * length
    return torch.cat(parts)  # (T, D)


def _attend_first(
    queries: Tensor,
    projected: Tensor,
    heads: int,
    groups: Sequence[tuple[int, int]],
    dropout: float,
) -> Tensor:
    """Attend from first tokens ``(B, D)`` to their own sequences; ``projected`` is ``(T, 2 D)``."""
    parts, start, row = [], 0, 0
    for count, length in groups:
        rows = projected[start : start + count * length]
        key, value = rows.view(count, length, 2, heads, -1).permute(2, 0, 3, 1, 4)
        query = queries[row : row + count].view(count, 1, heads, -1).transpose(1, 2)
        out = F.scaled_dot_product_attention(query, key, value, dropout_p=dropout)
        parts.append(out.transpose(1, 2).reshape(count, -1))
        start, row = start + count * length, row + count
    return torch.cat(parts)  # (B, D)


def _after_attention(layer: Block, attended: Tensor, states: Tensor, dropout: float) -> Tensor:
    out = F.dropout(layer.attention_out(attended, False), dropout, dropout > 0)
    states = _norm(layer.attention_norm, out + states)
    out = F.dropout(layer.down(layer.up(states, True), False), dropout, dropout > 0)
    return _norm(layer.out_norm, out + states)


def _norm(norm: nn.LayerNorm, states: Tensor) -> Tensor:
    return F.layer_norm(states, norm.normalized_shape, norm.weight, norm.bias, norm.eps)


def _head(model: Any, encoder: Any, first: Tensor, dropout: float) -> Tensor:
    first = first.float()  # pooling and head in full precision: they decide ties
    if model.config.model_type == "bert":
        pooled = F.dropout(encoder.pooler(first[:, None]), dropout, dropout > 0)
        logits: Tensor = model.classifier(pooled)
    else:
        logits = model.classifier(first[:, None])
    return logits


def _has_blocked_linear() -> bool:
    return bool(torch.backends.mkldnn.is_available()) and all(  # type: ignore[no-untyped-call]
        hasattr(torch.ops.mkldnn, name) for name in ("_reorder_linear_weight", "_linear_pointwise")
    )
