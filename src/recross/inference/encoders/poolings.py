"""Poolings: one vector of those of a text's tokens, by sentence-transformers' modes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from recross.inference.batches import PackedBatch
from recross.inference.encoders.attention import average_sequences, by_group
from recross.inference.encoders.encoder import EncoderForward


def pool(
    forward: EncoderForward, modes: Sequence[str], texts: PackedBatch, dropout: float = 0.0
) -> Tensor:
    """The poolings of every text side by side, ``(B, D)``, special tokens included.

    Where the first token is all that is asked for, the last layer is computed for it alone; where
    it is the last one, a decoder's is.
    """
    if tuple(modes) == ("cls",):
        return forward.first_states(texts, dropout)
    if tuple(modes) == ("lasttoken",):
        return forward.last_states(texts, dropout).float()
    states = forward.states(texts, dropout)  # (T, D)
    pooled = [_MODES[mode](states, texts) for mode in modes]
    return torch.cat(pooled, dim=1) if len(pooled) > 1 else pooled[0]


def _first(states: Tensor, texts: PackedBatch) -> Tensor:
    return states[texts.starts].float()


def _last(states: Tensor, texts: PackedBatch) -> Tensor:
    return states[texts.layout.offsets[1:].long() - 1].float()


def _mean(states: Tensor, texts: PackedBatch) -> Tensor:
    return average_sequences(states, texts.layout)


def _mean_by_root(states: Tensor, texts: PackedBatch) -> Tensor:
    """The sum over the square root of how many tokens there are."""
    return _mean(states, texts) * _lengths(texts).sqrt()


def _weighted_mean(states: Tensor, texts: PackedBatch) -> Tensor:
    """The mean in which the n-th token counts n times."""
    weighed = states.float() * (texts.positions + 1).float()[:, None]
    return _mean(weighed, texts) * (2 / (_lengths(texts) + 1))


def _highest(states: Tensor, texts: PackedBatch) -> Tensor:
    layout = texts.layout
    if states.device.type == "cpu" and layout.groups:
        return torch.cat([rows.float().amax(dim=1) for rows in by_group(states, layout.groups)])
    offsets = layout.offsets.long()
    return torch.segment_reduce(states.float(), "max", offsets=offsets, axis=0, unsafe=True)


def _lengths(texts: PackedBatch) -> Tensor:
    return texts.layout.offsets.diff().float()[:, None]


_MODES: Mapping[str, Callable[[Tensor, PackedBatch], Tensor]] = {
    "cls": _first,
    "lasttoken": _last,
    "mean": _mean,
    "mean_sqrt_len_tokens": _mean_by_root,
    "weightedmean": _weighted_mean,
    "max": _highest,
}
