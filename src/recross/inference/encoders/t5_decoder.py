"""The first decoder step of T5, over the states of an encoder without padding.

The decoder reads the encoder's states without ever projecting them to keys and values: each head's
query is taken through the key weights instead, and the weighted mean of the states through the
value weights, which is the same product in another order and leaves the decoder nearly free. Exact:
it equals the Hugging Face forward.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from recross.checkpoints.loaded import LoadedModule, Model
from recross.inference.batches import PackedBatch
from recross.inference.encoders.affine import norm_mean_square
from recross.inference.encoders.attention import by_group
from recross.inference.encoders.blocks import Blocks, lay_out_blocks, works_in_blocks
from recross.inference.encoders.layer_passes import within
from recross.inference.encoders.t5 import is_gated

StateRows = tuple[Tensor, Tensor | None]
"""States of some sequences ``(n, L, D)``, and which of them are absent ``(n, L)``, if any are."""


def read_head_rows(model: Model, pieces: Tensor) -> Tensor:
    """Rows of the output layer that are read, ``(C, D)``."""
    rows: Tensor = model.get_output_embeddings().weight[pieces]
    return rows


def first_step(
    model: Model,
    states: Tensor,
    batch: PackedBatch,
    opening: Tensor,
    dropout: float = 0.0,
) -> Tensor:
    """State ``(B, D)`` to apply the output rows to, after the tokens of ``opening``.

    ``states`` ``(T, D)`` are the encoder's output. One pass of the decoder; the state is that of
    the last position, scaled.
    """
    decoder, config = model.decoder, model.config
    on = dropout > 0
    decoded = decoder.embed_tokens(opening).float().expand(len(batch), -1, -1)  # (B, P, D)
    decoded = F.dropout(decoded, dropout, on)
    bias = _causal_bias(decoder, len(opening))
    blocks = lay_out_blocks(batch.layout) if works_in_blocks(states.device) else None
    for block in decoder.block:
        step = partial(_through_block, block, batch, blocks, bias, dropout)
        decoded = within(block, step)(decoded, states)
    last = F.dropout(norm_mean_square(decoder.final_layer_norm, decoded[:, -1]), dropout, on)
    # T5 1.0 scales before its tied output layer; v1.1 and mT5 do not
    return last * config.d_model**-0.5 if getattr(config, "scale_decoder_outputs", False) else last


def _through_block(
    block: LoadedModule,
    batch: PackedBatch,
    blocks: Blocks | None,
    bias: Tensor,
    dropout: float,
    decoded: Tensor,
    states: Tensor,
) -> Tensor:
    """What leaves a block, ``(B, P, D)``."""
    on = dropout > 0
    attend, read, feed = block.layer[0], block.layer[1], block.layer[2]
    normed = norm_mean_square(attend.layer_norm, decoded)
    attended = _attend_decoded(attend.SelfAttention, normed, bias, dropout)
    decoded = decoded + F.dropout(attended, dropout, on)
    normed = norm_mean_square(read.layer_norm, decoded)
    rows = _split_states(states, batch, blocks)
    read_states = _attend_states(read.EncDecAttention, normed, rows, dropout)
    decoded = decoded + F.dropout(read_states, dropout, on)
    normed = norm_mean_square(feed.layer_norm, decoded)
    return decoded + F.dropout(_feed_forward(feed.DenseReluDense, normed, dropout), dropout, on)


def _split_states(states: Tensor, batch: PackedBatch, blocks: Blocks | None) -> list[StateRows]:
    if blocks is None:
        return [(rows, None) for rows in by_group(states, batch.groups)]
    absent = [block.absent for block in blocks.blocks]
    return list(zip(blocks.split(states), absent, strict=True))


def _attend_decoded(
    attention: LoadedModule, decoded: Tensor, bias: Tensor, dropout: float
) -> Tensor:
    heads = attention.n_heads
    query, key, value = (
        layer(decoded).unflatten(-1, (heads, -1)).transpose(1, 2)
        for layer in (attention.q, attention.k, attention.v)
    )
    out = F.scaled_dot_product_attention(query, key, value, bias, dropout, scale=1.0)
    projected: Tensor = attention.o(out.transpose(1, 2).flatten(-2))
    return projected


def _attend_states(
    attention: LoadedModule,
    decoded: Tensor,
    states: Sequence[StateRows],
    dropout: float,
) -> Tensor:
    """Attend to the encoder's states without projecting them; returns ``(B, P, D)``."""
    heads = attention.n_heads
    key = attention.k.weight.unflatten(0, (heads, -1))  # (H, d, D)
    value = attention.v.weight.unflatten(0, (heads, -1))
    query = attention.q(decoded).unflatten(-1, (heads, -1))  # (B, P, H, d)
    through_key = torch.einsum("bphd,hdk->bphk", query, key)  # (B, P, H, D)
    means = []
    of_rows = torch.split(through_key.flatten(1, 2), [len(rows) for rows, _ in states])
    for queries, (rows, absent) in zip(of_rows, states, strict=True):  # (n, P H, D), (n, L, D)
        products = torch.bmm(queries, rows.transpose(1, 2))
        if absent is not None:
            products = products.masked_fill(absent[:, None], float("-inf"))
        weights = products.softmax(dim=-1)
        means.append(torch.bmm(F.dropout(weights, dropout, dropout > 0), rows))
    mean = torch.cat(means).view(*decoded.shape[:2], heads, -1)  # (B, P, H, D)
    out = torch.einsum("bphk,hdk->bphd", mean, value)
    projected: Tensor = attention.o(out.flatten(-2))
    return projected


def _feed_forward(dense: LoadedModule, states: Tensor, dropout: float) -> Tensor:
    act = dense.act
    gated = is_gated(dense)
    up = act(dense.wi_0(states)) * dense.wi_1(states) if gated else act(dense.wi(states))
    out: Tensor = dense.wo(F.dropout(up, dropout, dropout > 0))
    return out


def _causal_bias(decoder: LoadedModule, length: int) -> Tensor:
    attention = decoder.block[0].layer[0].SelfAttention
    bias: Tensor = attention.compute_bias(length, length)  # (1, H, P, P)
    later = torch.ones(length, length, dtype=torch.bool, device=bias.device).triu(1)
    return bias.masked_fill(later, torch.finfo(bias.dtype).min)
