"""Training groups as optimiser steps made of micro-batches that fit in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from recross.collection import Collection
from recross.errors import InputError
from recross.inference.batches import PackedBatch, by_length
from recross.inference.network import Network
from recross.inference.tokens import Ints, Sequences
from recross.records import TrainingGroup
from recross.seeding import generator
from recross.training.groups import Groups
from recross.training.in_batch import (
    EncodesApart,
    InBatchStep,
    Relevant,
    in_batch_step,
    relevant_of,
)
from recross.training.losses.loss import ABSENT
from recross.training.recipe import Teach
from recross.training.refresh import Refresh, kept


@dataclass(frozen=True)
class MicroBatch:
    """Whole groups whose tokens fit the budget.

    ``places`` ``(B,)`` says where in the flattened ``(Q, N)`` lists each score belongs; ``share``
    is this micro-batch's part of the step's groups, so that losses add up to the step's mean.
    """

    batch: PackedBatch
    places: Tensor
    labels: Tensor  # (Q, N), ABSENT where a list is shorter; N counts what is scored once
    teacher_scores: Tensor  # (Q, N), ABSENT where a list is shorter or has no teacher
    first_stage_scores: Tensor  # (Q, N)
    share: float

    def to(self, device: torch.device) -> MicroBatch:
        """The same micro-batch on another device."""
        return MicroBatch(
            self.batch.to(device),
            self.places.to(device),
            self.labels.to(device),
            self.teacher_scores.to(device),
            self.first_stage_scores.to(device),
            self.share,
        )

    def lists(self, scores: Tensor) -> Tensor:
        """Scores ``(B,)`` of the batch as lists ``(Q, N)``; further dimensions stay."""
        flat = scores.new_zeros(self.labels.numel(), *scores.shape[1:])
        return flat.index_copy(0, self.places, scores).view(*self.labels.shape, *scores.shape[1:])


Step = list[MicroBatch] | InBatchStep


class TrainableNetwork(Network, Protocol):
    """A network that groups can be turned into sequences for."""

    @property
    def documents_per_item(self) -> int:
        """1 where documents are scored alone, 2 where two are compared."""


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


def micro_batches(
    groups: Sequence[TrainingGroup], collection: Collection, network: TrainableNetwork, budget: int
) -> Iterator[MicroBatch]:
    """Pack groups, in order, into micro-batches of at most ``budget`` tokens, each group whole."""
    lists = [_listed(group, network.documents_per_item) for group in groups]
    sequences = _encode(groups, lists, collection, network)
    ends = np.cumsum([0, *(len(listed.items) for listed in lists)])
    tokens = np.diff(sequences.offsets[ends])
    for first, last in _spans(tokens.tolist(), budget):
        own = sequences.take(np.arange(ends[first], ends[last]))
        yield _micro_batch(lists[first:last], own, (last - first) / len(groups))


class _Listed(NamedTuple):
    """What of a group is scored: positions of documents, and what is known of each."""

    items: list[tuple[int, ...]]
    labels: list[float]
    teacher_scores: list[float]
    first_stage_scores: list[float]


def _listed(group: TrainingGroup, documents_per_item: int) -> _Listed:
    """Documents one by one, or every ordered pair of documents with different labels.

    A pair's label is 1 where its first document is the more relevant, else 0; its scores, the
    teacher's and the first stage's, are by how much its first document is ahead.
    """
    count = len(group.doc_ids)
    first = group.first_stage_scores or (0.0,) * count
    teacher = group.teacher_scores
    if documents_per_item == 1:
        items: list[tuple[int, ...]] = [(n,) for n in range(count)]
        return _Listed(items, list(group.labels), list(teacher or (ABSENT,) * count), list(first))
    pairs = [
        (one, other)
        for one, label in enumerate(group.labels)
        for other, other_label in enumerate(group.labels)
        if label != other_label
    ]
    return _Listed(
        [*pairs],
        [float(group.labels[one] > group.labels[other]) for one, other in pairs],
        [teacher[one] - teacher[other] if teacher else ABSENT for one, other in pairs],
        [first[one] - first[other] for one, other in pairs],
    )


def _encode(
    groups: Sequence[TrainingGroup],
    lists: Sequence[_Listed],
    collection: Collection,
    network: TrainableNetwork,
) -> Sequences:
    query_ids = list(dict.fromkeys(group.query_id for group in groups))
    doc_ids = list(dict.fromkeys(doc_id for group in groups for doc_id in group.doc_ids))
    query_number = {query_id: number for number, query_id in enumerate(query_ids)}
    doc_number = {doc_id: number for number, doc_id in enumerate(doc_ids)}
    return network.encode(
        [collection.queries[query_id] for query_id in query_ids],
        [collection.documents[doc_id] for doc_id in doc_ids],
        [
            (query_number[group.query_id], *(doc_number[group.doc_ids[n]] for n in item))
            for group, listed in zip(groups, lists, strict=True)
            for item in listed.items
        ],
    )


def _spans(tokens: Sequence[int], budget: int) -> Iterator[tuple[int, int]]:
    first, held = 0, 0
    for number, size in enumerate(tokens):
        if number > first and held + size > budget:
            yield first, number
            first, held = number, 0
        held += size
    yield first, len(tokens)


def _micro_batch(lists: Sequence[_Listed], own: Sequences, share: float) -> MicroBatch:
    sizes = [len(listed.items) for listed in lists]
    longest = max(sizes)
    places: Ints = np.concatenate([row * longest + np.arange(n) for row, n in enumerate(sizes)])
    order = by_length(own.lengths)

    def filled(values: Sequence[Sequence[float]], empty: float) -> Tensor:
        flat = np.full(len(lists) * longest, empty, dtype=np.float32)
        flat[places] = [value for row in values for value in row]
        return torch.from_numpy(flat).view(len(lists), longest)

    return MicroBatch(
        batch=PackedBatch.of(own.take(order), torch.device("cpu")),
        places=torch.from_numpy(places[order]),
        labels=filled([listed.labels for listed in lists], ABSENT),
        teacher_scores=filled([listed.teacher_scores for listed in lists], ABSENT),
        first_stage_scores=filled([listed.first_stage_scores for listed in lists], 0.0),
        share=share,
    )
