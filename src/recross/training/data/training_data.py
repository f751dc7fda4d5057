"""Where training groups come from: judgments with mined negatives, or files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Protocol, runtime_checkable

from recross.collections.collection import Collection
from recross.negatives.composed import Refreshed, stages_of
from recross.negatives.sampler import NegativeSampler
from recross.store import Store
from recross.training.data.groups import Groups, make_groups
from recross.training.data.leaks import LeakPolicy, Leaks
from recross.training.data.refresh import Refresh

Phases = Mapping[str, tuple[Groups, float]]
"""Groups by the name of their phase, each with its share of the steps, in order."""


@dataclass(frozen=True)
class Task:
    """What groups are made for; ``negatives`` are wanted beside each positive."""

    collection: Collection
    split: str
    negatives: int
    seed: int
    leaks: Leaks
    leak_policy: LeakPolicy
    store: Store


@runtime_checkable
class TrainingData(Protocol):
    """A source of training groups; building it costs nothing."""

    @property
    def reads_judgments(self) -> bool:
        """Whether groups come from the judgments of the training split."""

    @property
    def may_be_taught(self) -> bool:
        """Whether groups may come with a teacher's scores."""

    @property
    def negatives(self) -> NegativeSampler | None:
        """The strategy that negatives are drawn by; ``None``: they come with the file."""

    def phases(self, task: Task) -> Phases:
        """Groups to learn from, none of a query that an evaluation split asks; shares add to 1."""


@dataclass(frozen=True)
class MinedNegatives:
    """The judgments of the training split, with negatives as the strategy draws them."""

    negatives: NegativeSampler
    reads_judgments: ClassVar[bool] = True
    may_be_taught: ClassVar[bool] = False

    def phases(self, task: Task) -> Phases:
        """One phase for each stage of the strategy."""
        return {
            name: (mined_groups(part.sampler, task), part.share)
            for name, part in stages_of(self.negatives).items()
        }


def mined_groups(sampler: NegativeSampler, task: Task) -> Groups:
    """Each relevant document of the split with what the sampler draws beside it."""
    mined = sampler.mine(task.collection, task.split, task.store)
    size, refresh = task.negatives, None
    if isinstance(sampler, Refreshed):
        size, refresh = size * sampler.pool, Refresh(sampler.every, size)
    groups = make_groups(mined, task.collection, task.split, size, task.seed, task.leaks)
    return replace(groups, refresh=refresh)
