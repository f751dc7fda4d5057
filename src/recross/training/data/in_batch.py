"""Steps of a network that encodes texts apart: every query learns from every document of the step.

In-batch negatives (Karpukhin et al. 2020) do not depend on what fits in memory: texts are encoded
in chunks without a gradient, the loss gives that of every vector, and each chunk is encoded again
to carry it on (GradCache, Gao et al. 2021).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from recross.collections.collection import Collection
from recross.inference.batches import PackedBatch, token_budget
from recross.inference.tokens import Ints, Sequences
from recross.negatives.copies import folded
from recross.records import TrainingGroup
from recross.training.losses.loss import ABSENT

Relevant = Mapping[str, set[str]]
"""query_id -> documents that are relevant to it."""


@runtime_checkable
class EncodesApart(Protocol):
    """A network that turns single texts into vectors."""

    scale: float
    in_batch_negatives: bool

    def encode_texts(self, texts: Sequence[str]) -> Sequences:
        """Each text's own sequence."""

    def vectors(self, texts: PackedBatch) -> Tensor:
        """Unit vectors to train on, ``(B, D)``."""


@dataclass(frozen=True)
class InBatchStep:
    """All texts of a step, in chunks that fit the budget, and what each query learns from.

    Texts are the queries of the groups, then their documents, each once. Targets are ``(Q, N)``
    over all documents, ABSENT where one is not to be learned from.
    """

    chunks: Sequence[tuple[Ints, PackedBatch]]  # numbers of texts, and their tokens
    asked: Tensor  # (Q,) the text of each group's query
    documents: Tensor  # (N,) the texts of all documents
    labels: Tensor
    teacher_scores: Tensor

    def to(self, device: torch.device) -> InBatchStep:
        """The same step on another device, but for its chunks, of which one is moved at a time."""
        return InBatchStep(
            self.chunks,
            self.asked.to(device),
            self.documents.to(device),
            self.labels.to(device),
            self.teacher_scores.to(device),
        )

    @property
    def texts(self) -> int:
        """How many there are."""
        return sum(len(which) for which, _ in self.chunks)

    @property
    def pairs(self) -> int:
        """How many scores are learned from."""
        return int((self.labels != ABSENT).sum())

    def scores(self, vectors: Tensor, scale: float) -> Tensor:
        """Cosines of queries and documents times ``scale``, ``(Q, N)``, from all texts' vectors."""
        products: Tensor = scale * vectors[self.asked] @ vectors[self.documents].T
        return products


def in_batch_step(
    groups: Sequence[TrainingGroup],
    collection: Collection,
    network: EncodesApart,
    budget: int,
    *,
    relevant: Relevant,
    least_chunks: int = 1,
) -> InBatchStep:
    """Gather the texts of a step's groups; each query is offered all of its documents.

    What is ``relevant`` to a query, in the step or by its judgments, and copies of it, are no
    negatives of it.
    """
    queries = {group.query_id: None for group in groups}
    documents = {doc_id: None for group in groups for doc_id in group.doc_ids}
    texts = [collection.queries[q] for q in queries] + [collection.documents[d] for d in documents]
    sequences = network.encode_texts(texts)
    limit = max(min(budget, int(sequences.offsets[-1]) // least_chunks), 1)
    chunks = [
        (which, PackedBatch.of(sequences.take(which), torch.device("cpu")))
        for which in token_budget(sequences.lengths, limit)
    ]
    row = {query_id: number for number, query_id in enumerate(queries)}
    column = {doc_id: number for number, doc_id in enumerate(documents)}
    shape = (len(groups), len(documents))
    labels, teacher = (np.full(shape, value, np.float32) for value in (0.0, ABSENT))
    in_step = relevant_of(groups)
    copies = [folded(collection.documents[doc_id]) for doc_id in documents]
    for number, group in enumerate(groups):
        known = in_step[group.query_id] | relevant.get(group.query_id, set())
        barred = {folded(collection.documents[doc_id]) for doc_id in known}
        labels[number, [text in barred for text in copies]] = ABSENT
        own = [column[doc_id] for doc_id in group.doc_ids]
        labels[number, own] = group.labels
        if group.teacher_scores is not None:
            teacher[number, own] = group.teacher_scores
    return InBatchStep(
        chunks=chunks,
        asked=torch.tensor([row[group.query_id] for group in groups]),
        documents=torch.arange(len(queries), len(texts)),
        labels=torch.from_numpy(labels),
        teacher_scores=torch.from_numpy(teacher),
    )


def relevant_of(groups: Iterable[TrainingGroup]) -> Relevant:
    """What groups say is relevant, by query."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for group in groups:
        for doc_id, label in zip(group.doc_ids, group.labels, strict=True):
            if label > 0:
                found[group.query_id].add(doc_id)
    return found
