"""The padding-free forward of T5, up to its first decoder step.

All sequences of a batch stand in one row of ``T`` tokens, as in ``packed``; the relative position
bias of each length is a slice of one table. The decoder reads the encoder's states without ever
projecting them to keys and values: each head's query is taken through the key weights instead, and
the weighted mean of the states through the value weights, which is the same product in another
order and leaves the decoder nearly free. Exact: it equals the Hugging Face forward.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from recross.inference.batches import PackedBatch
from recross.inference.encoders.affine import Activation, Affine, MakeAffine, unused
from recross.inference.encoders.attention import attend_all, attend_first, by_group

SUPPORTED = ("t5", "mt5")
ACTIVATIONS: dict[str, Activation] = {"relu": "relu", "gelu_new": "gelu_tanh", "gelu": "gelu"}


class Block(NamedTuple):
    """One encoder layer; the single projections serve where only first tokens are carried on."""

    attention_norm: Any
    query: Affine
    key_value: Affine
    all_three: Affine
    attention_out: Affine
    feed_forward_norm: Any
    up: Affine
    gate: Affine | None
    down: Affine


class Layers(NamedTuple):
    """An encoder's layers, with linear layers as ``MakeAffine`` gives them."""

    blocks: list[Block]
    first_only: bool


def is_supported(model: Any) -> bool:
    """Whether a model has the structure that this forward computes."""
    config = model.config
    kinds = ("ForConditionalGeneration", "ForTokenClassification", "EncoderModel")
    return (
        config.model_type in SUPPORTED
        and type(model).__name__.endswith(kinds)
        and config.dense_act_fn in ACTIVATIONS
    )


def layers(model: Any, make: MakeAffine) -> Layers:
    """The encoder's layers; a model without a decoder carries only first tokens to the end."""
    encoder = _encoder(model)
    first_only = not hasattr(model, "lm_head")
    last = len(encoder.block) - 1
    return Layers(
        [
            _block(block, make, first_only and number == last)
            for number, block in enumerate(encoder.block)
        ],
        first_only,
    )


def first_step(
    model: Any,
    layers: Layers,
    batch: PackedBatch,
    opening: Sequence[int] = (),
    dtype: torch.dtype = torch.float32,
    dropout: float = 0.0,
    recompute: bool = False,
) -> Tensor:
    """State ``(B, D)`` to apply the output rows to, after the decoder's start and ``opening``."""
    states = _encode(model, layers, batch, dtype, dropout, recompute)  # (T, D)
    states = F.dropout(_norm(_encoder(model).final_layer_norm, states), dropout, dropout > 0)
    return _decode(model, states, batch, opening, dropout)


def first_token(
    model: Any,
    layers: Layers,
    batch: PackedBatch,
    dtype: torch.dtype = torch.float32,
    dropout: float = 0.0,
    recompute: bool = False,
) -> Tensor:
    """The encoder's output ``(B, D)`` at the first token of each sequence."""
    first = _encode(model, layers, batch, dtype, dropout, recompute)
    return F.dropout(_norm(_encoder(model).final_layer_norm, first), dropout, dropout > 0)


def head_rows(model: Any, pieces: Sequence[int]) -> Tensor:
    """Rows of the output layer that are read, ``(C, D)``."""
    rows: Tensor = model.get_output_embeddings().weight[list(pieces)]
    return rows


def _encoder(model: Any) -> Any:
    return model.encoder if hasattr(model, "encoder") else model.transformer.encoder


def _block(block: Any, make: MakeAffine, is_last: bool) -> Block:
    attention, feed_forward = block.layer[0].SelfAttention, block.layer[-1].DenseReluDense
    gated = hasattr(feed_forward, "wi_0")
    return Block(
        attention_norm=block.layer[0].layer_norm,
        query=make([attention.q]) if is_last else unused,
        key_value=make([attention.k, attention.v]) if is_last else unused,
        all_three=unused if is_last else make([attention.q, attention.k, attention.v]),
        attention_out=make([attention.o]),
        feed_forward_norm=block.layer[-1].layer_norm,
        up=make([feed_forward.wi_0 if gated else feed_forward.wi]),
        gate=make([feed_forward.wi_1]) if gated else None,
        down=make([feed_forward.wo]),
    )


def _encode(
    model: Any,
    layers: Layers,
    batch: PackedBatch,
    dtype: torch.dtype,
    dropout: float,
    recompute: bool,
) -> Tensor:
    """States before the final norm, ``(T, D)`` or, of first tokens only, ``(B, D)``; fp32."""
    encoder, config = _encoder(model), model.config
    states = F.dropout(encoder.embed_tokens(batch.tokens).float(), dropout, dropout > 0)
    bias = _position_bias(encoder, batch.groups[0][1]).to(dtype)
    activation = ACTIVATIONS[config.dense_act_fn]

    def through(block: Block, states: Tensor) -> Tensor:
        normed = _norm(block.attention_norm, states).to(dtype)
        attended = attend_all(
            block.all_three(normed), config.num_heads, batch.groups, dropout, bias, 1.0
        )
        return _after_attention(block, attended, states, activation, dropout)

    for block in layers.blocks[:-1] if layers.first_only else layers.blocks:
        if recompute:
            states = checkpoint(through, block, states, use_reentrant=False)
        else:
            states = through(block, states)
    if layers.first_only:
        block = layers.blocks[-1]
        normed = _norm(block.attention_norm, states).to(dtype)
        attended = attend_first(
            block.query(normed[batch.starts]),
            block.key_value(normed),
            config.num_heads,
            batch.groups,
            dropout,
            bias,
            1.0,
        )
        states = _after_attention(block, attended, states[batch.starts], activation, dropout)
    return states


def _after_attention(
    block: Block, attended: Tensor, states: Tensor, activation: Activation, dropout: float
) -> Tensor:
    """Output projection and feed-forward; the residual stream stays in fp32, since it is large."""
    on = dropout > 0
    states = states + F.dropout(block.attention_out(attended), dropout, on)
    normed = _norm(block.feed_forward_norm, states).to(attended.dtype)
    up = block.up(normed, activation)
    if block.gate is not None:
        up = up * block.gate(normed)
    return states + F.dropout(block.down(F.dropout(up, dropout, on)), dropout, on)


def _position_bias(encoder: Any, length: int) -> Tensor:
    """``(heads, L, L)``; shorter sequences use its corner."""
    attention = encoder.block[0].layer[0].SelfAttention
    bias: Tensor = attention.compute_bias(length, length)[0]
    return bias


def _decode(
    model: Any, states: Tensor, batch: PackedBatch, opening: Sequence[int], dropout: float
) -> Tensor:
    """One pass of the decoder over its start and ``opening``; the last position's state, scaled."""
    decoder, config = model.decoder, model.config
    on = dropout > 0
    asked = torch.tensor([config.decoder_start_token_id, *opening], device=states.device)
    own = decoder.embed_tokens(asked).float().expand(len(batch), -1, -1)  # (B, P, D)
    own = F.dropout(own, dropout, on)
    bias = _causal_bias(decoder, len(asked))
    for block in decoder.block:
        attend, read, feed = block.layer[0], block.layer[1], block.layer[2]
        normed = _norm(attend.layer_norm, own)
        own = own + F.dropout(_attend_own(attend.SelfAttention, normed, bias, dropout), dropout, on)
        normed = _norm(read.layer_norm, own)
        found = _attend_states(read.EncDecAttention, normed, states, batch.groups, dropout)
        own = own + F.dropout(found, dropout, on)
        dense = feed.DenseReluDense
        own = own + F.dropout(
            _feed_forward(dense, _norm(feed.layer_norm, own), dropout), dropout, on
        )
    last = F.dropout(_norm(decoder.final_layer_norm, own[:, -1]), dropout, on)
    # T5 1.0 scales before its tied output layer; v1.1 and mT5 do not
    return last * config.d_model**-0.5 if getattr(config, "scale_decoder_outputs", False) else last


def _attend_own(attention: Any, own: Tensor, bias: Tensor, dropout: float) -> Tensor:
    heads = attention.n_heads
    query, key, value = (
        layer(own).unflatten(-1, (heads, -1)).transpose(1, 2)
        for layer in (attention.q, attention.k, attention.v)
    )
    out = F.scaled_dot_product_attention(query, key, value, bias, dropout, scale=1.0)
    projected: Tensor = attention.o(out.transpose(1, 2).flatten(-2))
    return projected


def _attend_states(
    attention: Any,
    own: Tensor,
    states: Tensor,
    groups: Sequence[tuple[int, int]],
    dropout: float,
) -> Tensor:
    """Attend to the encoder's states ``(T, D)`` without projecting them; returns ``(B, P, D)``."""
    heads = attention.n_heads
    key = attention.k.weight.unflatten(0, (heads, -1))  # (H, d, D)
    value = attention.v.weight.unflatten(0, (heads, -1))
    query = attention.q(own).unflatten(-1, (heads, -1))  # (B, P, H, d)
    through_key = torch.einsum("bphd,hdk->bphk", query, key)  # (B, P, H, D)
    parts = []
    asked = torch.split(through_key.flatten(1, 2), [count for count, _ in groups])  # (n, P H, D)
    for queries, rows in zip(asked, by_group(states, groups), strict=True):
        weights = torch.bmm(queries, rows.transpose(1, 2)).softmax(dim=-1)
        parts.append(torch.bmm(F.dropout(weights, dropout, dropout > 0), rows))
    mean = torch.cat(parts).view(*own.shape[:2], heads, -1)  # (B, P, H, D)
    out = torch.einsum("bphk,hdk->bphd", mean, value)
    projected: Tensor = attention.o(out.flatten(-2))
    return projected


def _feed_forward(dense: Any, states: Tensor, dropout: float) -> Tensor:
    act = dense.act
    gated = hasattr(dense, "wi_0")
    up = act(dense.wi_0(states)) * dense.wi_1(states) if gated else act(dense.wi(states))
    out: Tensor = dense.wo(F.dropout(up, dropout, dropout > 0))
    return out


def _causal_bias(decoder: Any, length: int) -> Tensor:
    attention = decoder.block[0].layer[0].SelfAttention
    bias: Tensor = attention.compute_bias(length, length)  # (1, H, P, P)
    later = torch.ones(length, length, dtype=torch.bool, device=bias.device).triu(1)
    return bias.masked_fill(later, torch.finfo(bias.dtype).min)


def _norm(norm: Any, states: Tensor) -> Tensor:
    """Root mean square norm, in fp32."""
    variance = states.pow(2).mean(-1, keepdim=True)
    out: Tensor = states * torch.rsqrt(variance + norm.variance_epsilon) * norm.weight
    return out
