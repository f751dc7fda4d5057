"""Phases of a training: which groups are learned from, for which share of the steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from recross.errors import InputError
from recross.records import JsonObject
from recross.training.data.groups import TrainingGroups
from recross.training.data.refresh import Refresh


@dataclass(frozen=True)
class Phase:
    """Groups to learn from for a ``share`` of the steps; phases follow each other.

    With ``refresh`` a group is a pool, of which a step learns from what the network in training
    finds hardest.
    """

    name: str
    groups: TrainingGroups
    share: float = 1.0
    refresh: Refresh | None = None

    @property
    def record(self) -> JsonObject:
        """What the record of a training says of the phase."""
        return {
            "stage": self.name,
            "share": self.share,
            "groups": len(self.groups),
            "left_out": self.groups.left_out,
            "mined": self.groups.mined,
        }


def plan_steps(phases: Sequence[Phase], steps: int) -> list[range]:
    """Return the steps of each phase; the end of each is rounded, so that they add up.

    Shares of .4 and .6 of nine steps end at 3.6 and 9: the steps are 0 to 3 and 4 to 8.

    Raises:
        InputError: shares are negative or do not add up to 1.
    """
    shares = [phase.share for phase in phases]
    if min(shares, default=0) < 0 or abs(sum(shares) - 1) > 1e-6:
        raise InputError(f"shares of the phases must add up to 1, got {shares}")
    ends = [round(steps * end) for end in accumulate(shares)]
    return [range(start, end) for start, end in zip([0, *ends[:-1]], ends, strict=True)]
