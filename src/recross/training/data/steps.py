"""Training groups as optimiser steps: which groups each step learns from, and in which form."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

import numpy as np
from torch.utils.data import Dataset

from recross.collections.collection import Collection
from recross.errors import InputError
from recross.inference.tokens import Ints
from recross.records import TrainingGroup
from recross.seeding import generator
from recross.training.data.groups import Groups
from recross.training.data.in_batch import (
    EncodesApart,
    InBatchStep,
    Relevant,
    in_batch_step,
    relevant_of,
)
from recross.training.data.micro_batches import MicroBatch, TrainableNetwork, micro_batches
from recross.training.data.refresh import Refresh, kept
from recross.training.recipe import Teach

Step = list[MicroBatch] | InBatchStep


class Phase(NamedTuple):
    """Groups to learn from for so many steps, or pools to keep the hardest of."""

    groups: Sequence[TrainingGroup]
    steps: int
    refresh: Refresh | None = None


def planned(phases: Sequence[tuple[Groups, float]], steps: int) -> list[Phase]:
    """How many steps each phase gets; the end of each is rounded, so that they add up.

    Raises:
        InputError: shares are negative or do not add up to 1.
    """
    shares = [share for _, share in phases]
    if min(shares, default=0) < 0 or abs(sum(shares) - 1) > 1e-6:
        raise InputError(f"shares of the phases must add up to 1, got {shares}")
    ends = [round(steps * end) for end in accumulate(shares)]
    return [
        Phase(part.groups, end - start, part.refresh)
        for (part, _), start, end in zip(phases, [0, *ends[:-1]], ends, strict=True)
    ]


class StepData(Dataset[Step]):
    """Items are optimiser steps: ``batch_size`` groups each, of which ``rank`` takes its part.

    The first ``start`` steps are left out: a training that was interrupted has done them.

    Groups are visited in a fresh random order every epoch, drawn from the seed alone, so that the
    groups of a step do not depend on memory, devices or workers. ``hardest`` holds, for each group
    of the steps since the last refresh, the places of the negatives that were kept.
    """

    def __init__(
        self,
        phases: Sequence[Phase],
        collection: Collection,
        network: TrainableNetwork,
        *,
        batch_size: int,
        tokens: int,
        seed: int,
        start: int = 0,
    ) -> None:
        self.collection = collection
        self._network = network
        self._tokens = tokens
        self._plan = [  # numbers only: groups may be many, and on disk
            (phase.groups, numbers)
            for at, phase in enumerate(phases)
            for numbers in plan(len(phase.groups), phase.steps, batch_size, seed, at)
        ]
        self._refreshes = dict(_refreshes(phases))
        self.hardest: dict[int, list[list[int]]] = {}
        self._start = start
        self._across = isinstance(network, EncodesApart) and network.in_batch_negatives
        self._relevant = _relevant(phases) if self._across else {}
        self.rank, self.ranks = 0, 1

    def taught(self, teach: Teach) -> None:
        """Give the groups that will be learned from, and no others, their teacher's scores."""
        chosen = [group for at in range(len(self._plan)) for group in self._planned(at)]
        scored = teach(chosen, self.collection)
        ends = accumulate(len(numbers) for _, numbers in self._plan)
        self._plan = [
            (scored, np.arange(end - len(numbers), end))
            for (_, numbers), end in zip(self._plan, ends, strict=True)
        ]

    def refresh_at(self, step: int) -> bool:
        """Whether the negatives of the steps from this one on wait to be chosen."""
        return step in self._refreshes and step not in self.hardest

    def pools(self, step: int) -> list[TrainingGroup]:
        """What the steps from a refresh to the next could learn from."""
        _, steps = self._refreshes[step]
        return [group for at in steps for group in self._planned(at)]

    def refresh(self, step: int, scores: Sequence[Sequence[float]]) -> None:
        """Keep the hardest of ``pools``, given the scores of every pool's negatives."""
        refresh, steps = self._refreshes[step]
        each = iter([refresh.hardest(own) for own in scores])
        self.hardest = {at: [next(each) for _ in self._plan[at][1]] for at in steps}

    def __len__(self) -> int:
        return len(self._plan) - self._start

    def __getitem__(self, number: int) -> Step:
        groups, network = self.groups(number), self._network
        if self._across and isinstance(network, EncodesApart):
            return in_batch_step(
                *(groups, self.collection, network, self._tokens),
                relevant=self._relevant,
                least_chunks=self.ranks,
            )
        own = groups[self.rank :: self.ranks]
        return list(micro_batches(own, self.collection, network, self._tokens))

    def groups(self, number: int) -> list[TrainingGroup]:
        """The groups of a step, all ranks together."""
        at = self._start + number
        groups = self._planned(at)
        if at not in self.hardest:
            return groups
        return [kept(group, own) for group, own in zip(groups, self.hardest[at], strict=True)]

    def _planned(self, at: int) -> list[TrainingGroup]:
        groups, numbers = self._plan[at]
        return [groups[n] for n in numbers.tolist()]


def _refreshes(phases: Sequence[Phase]) -> Iterator[tuple[int, tuple[Refresh, range]]]:
    """The steps at which negatives are chosen, each with those that learn from them."""
    start = 0
    for phase in phases:
        end = start + phase.steps
        if (refresh := phase.refresh) is not None:
            for first in range(start, end, refresh.every):
                yield first, (refresh, range(first, min(first + refresh.every, end)))
        start = end


def _relevant(phases: Sequence[Phase]) -> Relevant:
    """What groups say is relevant; those read from disk say it of their own step only."""
    in_memory = [phase.groups for phase in phases if isinstance(phase.groups, tuple)]
    return relevant_of(group for groups in in_memory for group in groups)


def plan(groups: int, steps: int, batch_size: int, seed: int, phase: int = 0) -> Ints:
    """Numbers of the groups of each step, ``(steps, batch_size)``; each comes once per epoch."""
    needed = steps * batch_size
    epochs = -(-needed // groups)
    orders = [
        generator(seed, "order", f"{phase} {epoch}").permutation(groups) for epoch in range(epochs)
    ]
    none = np.zeros(0, dtype=np.int64)
    return np.concatenate([none, *orders])[:needed].reshape(steps, batch_size).copy()
