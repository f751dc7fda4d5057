"""Training groups as optimiser steps made of micro-batches that fit in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from recross.collection import Collection
from recross.inference.batches import PackedBatch, by_length
from recross.inference.engine import Network
from recross.inference.tokens import Ints, Sequences
from recross.records import TrainingGroup
from recross.seeding import generator
from recross.training.losses import ABSENT


@dataclass(frozen=True)
class MicroBatch:
    """Whole groups whose tokens fit the budget.

    ``places`` ``(B,)`` says where in the flattened ``(Q, N)`` lists each score belongs; ``share``
    is this micro-batch's part of the step's groups, so that losses add up to the step's mean.
    """

    batch: PackedBatch
    places: Tensor
    labels: Tensor  # (Q, N), ABSENT where a list is shorter
    first_stage_scores: Tensor  # (Q, N)
    share: float

    def to(self, device: torch.device) -> MicroBatch:
        """The same micro-batch on another device."""
        return MicroBatch(
            self.batch.to(device),
            self.places.to(device),
            self.labels.to(device),
            self.first_stage_scores.to(device),
            self.share,
        )

    def lists(self, scores: Tensor) -> Tensor:
        """Scores ``(B,)`` of the batch as lists ``(Q, N)``."""
        flat = scores.new_zeros(self.labels.numel())
        return flat.scatter(0, self.places, scores).view_as(self.labels)


Step = list[MicroBatch]


class Phase(NamedTuple):
    """Groups to learn from for so many steps."""

    groups: Sequence[TrainingGroup]
    steps: int


class StepData(Dataset[Step]):
    """Item ``i`` is optimiser step ``i``: ``batch_size`` groups, of which ``rank`` takes its part.

    Groups are visited in a fresh random order every epoch, drawn from the seed alone, so that the
    groups of a step do not depend on memory, devices or workers.
    """

    def __init__(
        self,
        phases: Sequence[Phase],
        collection: Collection,
        network: Network,
        *,
        batch_size: int,
        tokens: int,
        seed: int,
    ) -> None:
        self._collection = collection
        self._network = network
        self._tokens = tokens
        self._plan = [
            [phase.groups[number] for number in numbers]
            for at, phase in enumerate(phases)
            for numbers in plan(len(phase.groups), phase.steps, batch_size, seed, at)
        ]
        self.rank, self.ranks = 0, 1

    def __len__(self) -> int:
        return len(self._plan)

    def __getitem__(self, step: int) -> Step:
        chosen = self._plan[step][self.rank :: self.ranks]
        return list(micro_batches(chosen, self._collection, self._network, self._tokens))


def plan(groups: int, steps: int, batch_size: int, seed: int, phase: int = 0) -> list[list[int]]:
    """Numbers of the groups of each step; every group comes once per epoch."""
    if not steps:
        return []
    needed = steps * batch_size
    epochs = -(-needed // groups)
    orders = [
        generator(seed, "order", f"{phase} {epoch}").permutation(groups) for epoch in range(epochs)
    ]
    flat = np.concatenate(orders)[:needed]
    return [part.tolist() for part in flat.reshape(steps, batch_size)]


def micro_batches(
    groups: Sequence[TrainingGroup], collection: Collection, network: Network, budget: int
) -> Iterator[MicroBatch]:
    """Pack groups, in order, into micro-batches of at most ``budget`` tokens, each group whole."""
    sequences = _encode(groups, collection, network)
    sizes = [len(group.doc_ids) for group in groups]
    ends = np.cumsum([0, *sizes])
    tokens = np.diff(sequences.offsets[ends])
    for first, last in _spans(tokens.tolist(), budget):
        own = sequences.take(np.arange(ends[first], ends[last]))
        yield _micro_batch(groups[first:last], own, (last - first) / len(groups))


def _encode(groups: Sequence[TrainingGroup], collection: Collection, network: Network) -> Sequences:
    query_ids = list(dict.fromkeys(group.query_id for group in groups))
    doc_ids = list(dict.fromkeys(doc_id for group in groups for doc_id in group.doc_ids))
    query_number = {query_id: number for number, query_id in enumerate(query_ids)}
    doc_number = {doc_id: number for number, doc_id in enumerate(doc_ids)}
    return network.encode(
        [collection.queries[query_id] for query_id in query_ids],
        [collection.documents[doc_id] for doc_id in doc_ids],
        [(query_number[g.query_id], doc_number[doc_id]) for g in groups for doc_id in g.doc_ids],
    )


def _spans(tokens: Sequence[int], budget: int) -> Iterator[tuple[int, int]]:
    first, held = 0, 0
    for number, size in enumerate(tokens):
        if number > first and held + size > budget:
            yield first, number
            first, held = number, 0
        held += size
    yield first, len(tokens)


def _micro_batch(groups: Sequence[TrainingGroup], own: Sequences, share: float) -> MicroBatch:
    sizes = [len(group.doc_ids) for group in groups]
    longest = max(sizes)
    places: Ints = np.concatenate([row * longest + np.arange(n) for row, n in enumerate(sizes)])
    order = by_length(own.lengths)
    labels = np.full(len(groups) * longest, ABSENT, dtype=np.float32)
    labels[places] = [label for group in groups for label in group.labels]
    first = np.zeros_like(labels)
    first[places] = [score for group in groups for score in _first_stage(group)]
    shape = (len(groups), longest)
    return MicroBatch(
        batch=PackedBatch.of(own.take(order), torch.device("cpu")),
        places=torch.from_numpy(places[order]),
        labels=torch.from_numpy(labels).view(shape),
        first_stage_scores=torch.from_numpy(first).view(shape),
        share=share,
    )


def _first_stage(group: TrainingGroup) -> tuple[float, ...]:
    return group.first_stage_scores or (0.0,) * len(group.doc_ids)
