"""Where training groups come from: judgments with mined negatives, or files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

from recross.collections.collection import Collection
from recross.negatives.sampler import NegativeSampler, TrainingStage
from recross.store import Store
from recross.training.data.groups import make_groups
from recross.training.data.leaks import LeakPolicy, Leaks
from recross.training.data.phases import Phase
from recross.training.data.refresh import Refresh


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

    def make_phases(self, task: Task) -> Sequence[Phase]:
        """Groups to learn from, none of a query that an evaluation split asks; shares add to 1."""


@dataclass(frozen=True)
class MinedNegatives:
    """The judgments of the training split, with negatives as the strategy draws them."""

    negatives: NegativeSampler
    reads_judgments: ClassVar[bool] = True
    may_be_taught: ClassVar[bool] = False

    def make_phases(self, task: Task) -> Sequence[Phase]:
        """One phase for each stage of the strategy."""
        schedule = self.negatives.schedule
        return [mine_phase(name, stage, task) for name, stage in schedule.items()]


def mine_phase(name: str, stage: TrainingStage, task: Task) -> Phase:
    """Each relevant document of the split with what the stage's strategy draws beside it."""
    mined = stage.sampler.mine(task.collection, task.split, task.store)
    size = task.negatives * stage.pool
    groups = make_groups(mined, task.collection, task.split, size, task.seed, task.leaks)
    every = stage.refresh_every
    refresh = Refresh(every, task.negatives) if every is not None else None
    return Phase(name, groups, stage.share, refresh)
