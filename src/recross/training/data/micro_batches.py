"""Groups as micro-batches that fit in memory, each group whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from recross.inference.arrival import copy_to
from recross.inference.batches import NetworkBatch
from recross.inference.network import Network
from recross.inference.sequences import Encoded, by_length
from recross.inference.spans import Ints
from recross.inference.texts.collection_texts import CollectionTexts
from recross.records import TrainingGroup
from recross.training.losses.loss import ABSENT


@dataclass(frozen=True)
class MicroBatch:
    """Whole groups whose tokens fit the budget.

    ``places`` ``(B,)`` says where in the flattened ``(Q, N)`` lists each score belongs; ``share``
    is this micro-batch's part of the step's groups, so that losses add up to the step's mean.
    """

    batch: NetworkBatch
    tokens: int
    places: Tensor
    labels: Tensor  # (Q, N), ABSENT where a list is shorter; N counts what is scored once
    teacher_scores: Tensor  # (Q, N), ABSENT where a list is shorter or has no teacher
    first_stage_scores: Tensor  # (Q, N)
    share: float

    def to(self, device: torch.device) -> MicroBatch:
        """The same micro-batch on another device; a copy to a GPU is not waited for."""
        return MicroBatch(
            self.batch.to(device),
            self.tokens,
            copy_to(self.places, device),
            copy_to(self.labels, device),
            copy_to(self.teacher_scores, device),
            copy_to(self.first_stage_scores, device),
            self.share,
        )

    def lists(self, scores: Tensor) -> Tensor:
        """Scores ``(B,)`` of the batch as lists ``(Q, N)``; further dimensions stay."""
        flat = scores.new_zeros(self.labels.numel(), *scores.shape[1:])
        return flat.index_copy(0, self.places, scores).view(*self.labels.shape, *scores.shape[1:])


def micro_batches(
    groups: Sequence[TrainingGroup], texts: CollectionTexts, network: Network, budget: int
) -> Iterator[MicroBatch]:
    """Pack groups, in order, into micro-batches of at most ``budget`` tokens, each group whole.

    Groups of 3, 2 and 4 items: ``ends`` are 0, 3, 5, 9, so that the second group is items 3
    and 4. Where they have 60, 50 and 90 tokens and the budget is 120, the first two groups are one
    micro-batch, of items 0 to 4 and two thirds of the step, and the third group is the other.
    """
    lists = [_list_items(group, network.documents_per_item) for group in groups]
    encoded = _encode(groups, lists, texts, network)
    ends = np.cumsum([0, *(len(listed.items) for listed in lists)])
    tokens = np.diff(np.cumsum([0, *encoded.lengths])[ends])
    for first, last in _divide(tokens.tolist(), budget):
        batch = encoded.take(np.arange(ends[first], ends[last]))
        yield _micro_batch(lists[first:last], batch, (last - first) / len(groups))


class _Items(NamedTuple):
    """What of a group is scored: positions of documents, and what is known of each."""

    items: list[tuple[int, ...]]
    labels: list[float]
    teacher_scores: list[float]
    first_stage_scores: list[float]


def _list_items(group: TrainingGroup, documents_per_item: int) -> _Items:
    """Documents one by one, or every ordered pair of documents with different labels.

    A pair's label is 1 where its first document is the more relevant, else 0; its scores, the
    teacher's and the first stage's, are by how much its first document is ahead.
    """
    count = len(group.doc_ids)
    first_stage = group.first_stage_scores or (0.0,) * count
    teacher = group.teacher_scores
    if documents_per_item == 1:
        items: list[tuple[int, ...]] = [(n,) for n in range(count)]
        return _Items(
            items, list(group.labels), list(teacher or (ABSENT,) * count), list(first_stage)
        )
    pairs = [
        (left, right)
        for left, left_label in enumerate(group.labels)
        for right, right_label in enumerate(group.labels)
        if left_label != right_label
    ]
    return _Items(
        [*pairs],
        [float(group.labels[left] > group.labels[right]) for left, right in pairs],
        [teacher[left] - teacher[right] if teacher else ABSENT for left, right in pairs],
        [first_stage[left] - first_stage[right] for left, right in pairs],
    )


def _encode(
    groups: Sequence[TrainingGroup],
    lists: Sequence[_Items],
    texts: CollectionTexts,
    network: Network,
) -> Encoded[NetworkBatch]:
    queries, query_numbers = texts.queries([group.query_id for group in groups])
    doc_ids = [doc_id for group in groups for doc_id in group.doc_ids]
    documents, document_numbers = texts.documents(doc_ids)
    starts = np.cumsum([0, *(len(group.doc_ids) for group in groups)])
    items = [
        (query, *(document_numbers[start + place] for place in item))
        for query, start, listed in zip(query_numbers, starts, lists, strict=False)
        for item in listed.items
    ]
    numbers = np.array(items, dtype=np.int64).reshape(len(items), -1)
    told = texts.collection.instructions
    instructions = [
        told.get(group.query_id)
        for group, listed in zip(groups, lists, strict=True)
        for _ in listed.items
    ]
    return network.encode_told(queries, documents, numbers, instructions)


def _divide(tokens: Sequence[int], budget: int) -> Iterator[tuple[int, int]]:
    """Numbers of the first group of each micro-batch, and of the one after its last."""
    first, held = 0, 0
    for number, size in enumerate(tokens):
        if number > first and held + size > budget:
            yield first, number
            first, held = number, 0
        held += size
    yield first, len(tokens)


def _micro_batch(
    lists: Sequence[_Items], encoded: Encoded[NetworkBatch], share: float
) -> MicroBatch:
    """Sort the items of whole groups by length, and say where in the lists each one belongs.

    Lists of 3 and 2 items are rows of the longest, 3: flattened, the first takes places 0, 1, 2,
    the second 3, 4, and place 5 stays empty. Were the fourth item the longest and sorted to the
    front, the first of ``places`` would be 3.
    """
    sizes = [len(listed.items) for listed in lists]
    longest = max(sizes)
    places: Ints = np.concatenate([row * longest + np.arange(n) for row, n in enumerate(sizes)])
    order = by_length(encoded.lengths)

    def fill(values: Sequence[Sequence[float]], empty: float) -> Tensor:
        flat = np.full(len(lists) * longest, empty, dtype=np.float32)
        flat[places] = [value for row in values for value in row]
        return torch.from_numpy(flat).view(len(lists), longest)

    return MicroBatch(
        batch=encoded.take(order).on(torch.device("cpu")),
        tokens=int(encoded.lengths.sum()),
        places=torch.from_numpy(places[order]),
        labels=fill([listed.labels for listed in lists], ABSENT),
        teacher_scores=fill([listed.teacher_scores for listed in lists], ABSENT),
        first_stage_scores=fill([listed.first_stage_scores for listed in lists], 0.0),
        share=share,
    )
