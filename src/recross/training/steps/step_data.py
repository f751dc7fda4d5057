"""A training as a dataset: which groups each step learns from, and in which form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate

import numpy as np
from torch.utils.data import Dataset

from recross.inference.network import Network
from recross.inference.spans import Ints
from recross.inference.texts.collection_texts import CollectionTexts
from recross.records import TrainingGroup
from recross.rerankers.reranker import Reranker
from recross.seeding import make_generator
from recross.training.data.in_batch import Relevant, find_relevant, gather_texts, learns_across
from recross.training.data.micro_batches import micro_batches
from recross.training.data.phases import Phase, plan_steps
from recross.training.data.refresh import keep_negatives
from recross.training.data.teacher_scores import score_groups
from recross.training.steps.across_groups import AcrossGroups
from recross.training.steps.step import Step
from recross.training.steps.within_groups import WithinGroups

LEAST_DOCUMENTS = 2
"""Documents of a group: something is compared."""


class StepData(Dataset[Step]):
    """Items are optimiser steps: ``batch_size`` groups each, which processes share.

    Groups are visited in a fresh random order every epoch, drawn from the seed alone, so that the
    groups of a step do not depend on memory, devices or workers. ``hardest`` holds, for each group
    of the steps since the last refresh, the places of the negatives that were kept.
    """

    def __init__(
        self,
        phases: Sequence[Phase],
        steps: int,
        texts: CollectionTexts,
        network: Network,
        *,
        batch_size: int,
        tokens: int,
        seed: int,
    ) -> None:
        self.collection = texts.collection
        self._network = network
        self._tokens = tokens
        planned = list(zip(phases, plan_steps(phases, steps), strict=True))
        self._plan = [  # numbers only: groups may be many, and on disk
            (phase.groups.groups, numbers)
            for at, (phase, phase_steps) in enumerate(planned)
            for numbers in shuffle_groups(len(phase.groups), len(phase_steps), batch_size, seed, at)
        ]
        self._refreshes = {
            span.start: (phase.refresh, span)
            for phase, phase_steps in planned
            if phase.refresh is not None
            for span in phase.refresh.divide(phase_steps)
        }
        self._texts = replace(texts, expected=steps * batch_size * LEAST_DOCUMENTS)
        self.hardest: dict[int, list[list[int]]] = {}
        self.start = 0
        self._relevant = _find_all_relevant(phases) if learns_across(network) else {}
        self._rank, self._processes = 0, 1

    def divide(self, rank: int, processes: int) -> None:
        """Give this process, of so many, its share of the groups of each step."""
        self._rank, self._processes = rank, processes

    def start_after(self, step: int) -> None:
        """Leave out the first steps, which a training that was interrupted has done."""
        self.start = step

    def teach(self, teacher: Reranker) -> None:
        """Give the groups that will be learned from, and no others, the teacher's scores."""
        chosen = [group for step in range(len(self._plan)) for group in self._groups_or_pools(step)]
        scored = score_groups(teacher, chosen, self.collection)
        ends = accumulate(len(numbers) for _, numbers in self._plan)
        self._plan = [
            (scored, np.arange(end - len(numbers), end))
            for (_, numbers), end in zip(self._plan, ends, strict=True)
        ]

    def awaits_refresh(self, step: int) -> bool:
        """Whether the negatives of the steps from this one on wait to be chosen."""
        return step in self._refreshes and step not in self.hardest

    def pools(self, step: int) -> list[TrainingGroup]:
        """What the steps from a refresh to the next could learn from."""
        _, span = self._refreshes[step]
        return [group for at in span for group in self._groups_or_pools(at)]

    def refresh(self, step: int, scores: Sequence[Sequence[float]]) -> None:
        """Keep the hardest of ``pools``, given the scores of every pool's negatives."""
        refresh, span = self._refreshes[step]
        each = iter([refresh.find_hardest(of_pool) for of_pool in scores])
        self.hardest = {at: [next(each) for _ in self._plan[at][1]] for at in span}

    def __len__(self) -> int:
        return len(self._plan) - self.start

    def __getitem__(self, number: int) -> Step:
        groups, network = self.groups(number), self._network
        if learns_across(network):
            texts = gather_texts(
                *(groups, self._texts, network, self._tokens),
                relevant=self._relevant,
                least_chunks=self._processes,
            )
            return AcrossGroups(texts)
        mine = groups[self._rank :: self._processes]
        return WithinGroups([*micro_batches(mine, self._texts, network, self._tokens)])

    def groups(self, number: int) -> list[TrainingGroup]:
        """The groups of a step, all processes together."""
        step = self.start + number
        groups = self._groups_or_pools(step)
        if step not in self.hardest:
            return groups
        kept = zip(groups, self.hardest[step], strict=True)
        return [keep_negatives(group, places) for group, places in kept]

    def _groups_or_pools(self, step: int) -> list[TrainingGroup]:
        groups, numbers = self._plan[step]
        return [groups[n] for n in numbers.tolist()]


def _find_all_relevant(phases: Sequence[Phase]) -> Relevant:
    """What groups in memory say is relevant; those on disk are known in their own step only."""
    in_memory = [phase.groups for phase in phases if not phase.groups.on_disk]
    return find_relevant(group for groups in in_memory for group in groups.groups)


def shuffle_groups(groups: int, steps: int, batch_size: int, seed: int, phase: int = 0) -> Ints:
    """Numbers of the groups of each step, ``(steps, batch_size)``; each comes once per epoch."""
    needed = steps * batch_size
    epochs = -(-needed // groups)
    orders = [
        make_generator(seed, "order", f"{phase} {epoch}").permutation(groups)
        for epoch in range(epochs)
    ]
    none = np.zeros(0, dtype=np.int64)
    return np.concatenate([none, *orders])[:needed].reshape(steps, batch_size).copy()
