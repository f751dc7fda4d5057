"""Ranks of the documents of lists, exact and differentiable."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def before(values: Tensor, present: Tensor) -> Tensor:
    """Whether the column's document ranks before the row's, ``(Q, N, N)``.

    Higher values come first, equal ones in the order of the list; absent places before nothing.
    """
    import torch

    row, column = values.unsqueeze(2), values.unsqueeze(1)
    places = torch.arange(values.shape[1], device=values.device)
    earlier = places.unsqueeze(0) < places.unsqueeze(1)  # (N, N)
    return present.unsqueeze(1) & ((column > row) | ((column == row) & earlier))


def ranks(values: Tensor, present: Tensor) -> Tensor:
    """Ranks from 1, ``(Q, N)``: higher values first, equal ones in the order of the list."""
    return 1 + before(values, present).sum(dim=2)


def approximate_ranks(scores: Tensor, present: Tensor, temperature: float) -> Tensor:
    """Ranks from 1 as far as sigmoids tell, ``(Q, N)`` (Qin et al. 2010).

    Each other document adds the sigmoid of how much higher its score is, in units of
    ``temperature``; the lower that is, the nearer the ranks are to the exact ones.
    """
    import torch

    ahead = torch.sigmoid((scores.unsqueeze(1) - scores.unsqueeze(2)) / temperature)  # (Q, N, N)
    itself = torch.eye(scores.shape[1], dtype=torch.bool, device=scores.device)
    return 1 + ahead.masked_fill(itself | ~present.unsqueeze(1), 0.0).sum(dim=2)
