"""How the sequences of a packed batch stand end to end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import NamedTuple

import torch
from torch import Tensor

from recross.inference.arrival import copy_to

Groups = Sequence[tuple[int, int]]
"""(how many sequences, their length), in the order in which they stand end to end."""


def group_lengths(lengths: Iterable[int]) -> Groups:
    """Lengths in their order as groups: ``3, 3, 2`` are ``(2, 3), (1, 2)``."""
    return [(len(list(same)), length) for length, same in groupby(lengths)]


class Layout(NamedTuple):
    """Where each sequence begins and ends, in numbers for the processor and on its device.

    ``groups`` are of equal length; of a batch of fixed size they are not known, and ``longest`` is
    the most that a sequence may have. ``offsets`` ``(B + 1,)`` are those of ``B`` sequences, of
    which the last ones may be empty; tokens behind the last offset belong to none. The first
    ``shared`` tokens of all sequences are alike.
    """

    groups: Groups
    offsets: Tensor
    longest: int
    shared: int = 0

    @classmethod
    def of(cls, groups: Groups, offsets: Tensor, shared: int = 0) -> Layout:
        """That of sequences which lie on a device, longest first."""
        return cls(groups, offsets.to(torch.int32), groups[0][1] if groups else 0, shared)

    def to(self, device: torch.device) -> Layout:
        """The same on another device."""
        return self._replace(offsets=copy_to(self.offsets, device))
