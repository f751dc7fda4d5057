"""Poolings: one vector of those of a text's tokens, by sentence-transformers' modes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from recross.checkpoints.heads import in_single_precision
from recross.checkpoints.pooled_classifier import join_cosine
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


def _span_cosine(states: Tensor, texts: PackedBatch) -> Tensor:
    """The first token's state, and the cosine of the means over the two segments."""
    if states.device.type == "cpu" and texts.groups:
        in_groups = zip(
            by_group(states, texts.groups), by_group(texts.segments, texts.groups), strict=True
        )
        means = torch.cat([_average_segments(rows.float(), kinds) for rows, kinds in in_groups])
    else:
        offsets = _find_spans(texts)
        means = torch.segment_reduce(states.float(), "mean", offsets=offsets, axis=0, unsafe=True)
        means = means.view(len(texts), 2, -1)
    return join_cosine(_first(states, texts), means[:, 0], means[:, 1])


def _average_segments(rows: Tensor, segments: Tensor) -> Tensor:
    """Means over the tokens of the first and of the second segment, ``(n, 2, D)``."""
    second = segments.squeeze(-1).float()  # (n, L)
    shares = torch.stack([1 - second, second], dim=1)
    with in_single_precision(rows.device):
        return (shares / shares.sum(dim=2, keepdim=True)) @ rows


def _find_spans(texts: PackedBatch) -> Tensor:
    """Where each segment of each sequence begins, and where the last one ends, ``(2 B + 1,)``."""
    offsets = texts.layout.offsets.long()
    second = F.pad(texts.segments.long().cumsum(0), (1, 0))[offsets].diff()
    begins = torch.stack([offsets[:-1], offsets[1:] - second], dim=1)
    return torch.cat([begins.flatten(), offsets[-1:]])


def _lengths(texts: PackedBatch) -> Tensor:
    return texts.layout.offsets.diff().float()[:, None]


_MODES: Mapping[str, Callable[[Tensor, PackedBatch], Tensor]] = {
    "cls": _first,
    "lasttoken": _last,
    "mean": _mean,
    "mean_sqrt_len_tokens": _mean_by_root,
    "weightedmean": _weighted_mean,
    "max": _highest,
    "span_cosine": _span_cosine,
}
