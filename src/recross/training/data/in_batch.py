"""The texts of a step in which every query learns from every document (in-batch negatives)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeGuard

import numpy as np
import torch
from torch import Tensor

from recross.checkpoints.heads import in_single_precision
from recross.inference.arrival import copy_to
from recross.inference.batches import PackedBatch
from recross.inference.network import Network
from recross.inference.sequences import Sequences, token_budget
from recross.inference.text_encoder import SingleVectorEncoder
from recross.inference.texts.collection_texts import CollectionTexts
from recross.negatives.copies import fold_text
from recross.records import TrainingGroup
from recross.training.losses.loss import ABSENT

Relevant = Mapping[str, set[str]]
"""query_id -> documents that are relevant to it."""


@dataclass(frozen=True)
class StepTexts:
    """All texts of a step, in chunks that fit the budget, and what each query learns from.

    Texts are the queries of the groups, then their documents, each once. Targets are ``(Q, N)``
    over all documents, ABSENT where one is not to be learned from.
    """

    chunks: Sequence[tuple[Tensor, PackedBatch]]  # numbers of texts, and their tokens
    queries: Tensor  # (Q,) the text of each group's query
    documents: Tensor  # (N,) the texts of all documents
    labels: Tensor
    teacher_scores: Tensor
    pairs: int
    """How many pairs of a query and a document are learned from."""

    def to(self, device: torch.device) -> StepTexts:
        """The same texts on another device; a copy to a GPU is not waited for."""
        return StepTexts(
            [(copy_to(which, device), batch.to(device)) for which, batch in self.chunks],
            copy_to(self.queries, device),
            copy_to(self.documents, device),
            copy_to(self.labels, device),
            copy_to(self.teacher_scores, device),
            self.pairs,
        )

    @property
    def count(self) -> int:
        """How many texts the step has."""
        return sum(len(which) for which, _ in self.chunks)

    def scores(self, vectors: Tensor, scale: float) -> Tensor:
        """Similarities of queries and documents times ``scale``, ``(Q, N)``, of all vectors."""
        with in_single_precision(vectors.device):
            products: Tensor = scale * vectors[self.queries] @ vectors[self.documents].T
        return products


def gather_texts(
    groups: Sequence[TrainingGroup],
    texts: CollectionTexts,
    network: SingleVectorEncoder,
    budget: int,
    *,
    relevant: Relevant,
    least_chunks: int = 1,
) -> StepTexts:
    """Gather the texts of a step's groups; each query is offered all of its documents.

    What is ``relevant`` to a query, in the step or by its judgments, what is excluded for it, and
    copies of these, are no negatives of it.
    """
    queries = {group.query_id: None for group in groups}
    documents = {doc_id: None for group in groups for doc_id in group.doc_ids}
    asked, query_numbers = texts.queries(list(queries))
    read, document_numbers = texts.documents(list(documents))
    sequences = Sequences.end_to_end(
        network.query_tokens(asked).take(query_numbers),
        network.document_tokens(read).take(document_numbers),
    )
    limit = max(min(budget, int(sequences.lengths.sum()) // least_chunks), 1)
    chunks = [
        (torch.from_numpy(which), sequences.take(which).on(torch.device("cpu")))
        for which in token_budget(sequences.lengths, limit)
    ]
    row = {query_id: number for number, query_id in enumerate(queries)}
    column = {doc_id: number for number, doc_id in enumerate(documents)}
    shape = (len(groups), len(documents))
    labels, teacher = (np.full(shape, value, np.float32) for value in (0.0, ABSENT))
    in_step = find_relevant(groups)
    collection = texts.collection
    copies = [fold_text(collection.documents[doc_id]) for doc_id in documents]
    for number, group in enumerate(groups):
        known = in_step[group.query_id] | relevant.get(group.query_id, set())
        known |= collection.excluded.get(group.query_id, frozenset()) & documents.keys()
        barred = {fold_text(collection.documents[doc_id]) for doc_id in known}
        labels[number, [text in barred for text in copies]] = ABSENT
        columns = [column[doc_id] for doc_id in group.doc_ids]
        labels[number, columns] = group.labels
        if group.teacher_scores is not None:
            teacher[number, columns] = group.teacher_scores
    return StepTexts(
        chunks=chunks,
        queries=torch.tensor([row[group.query_id] for group in groups]),
        documents=torch.arange(len(queries), len(sequences)),
        labels=torch.from_numpy(labels),
        teacher_scores=torch.from_numpy(teacher),
        pairs=int((labels != ABSENT).sum()),
    )


def find_relevant(groups: Iterable[TrainingGroup]) -> Relevant:
    """Return what groups say is relevant, by query."""
    relevant: defaultdict[str, set[str]] = defaultdict(set)
    for group in groups:
        for doc_id, label in zip(group.doc_ids, group.labels, strict=True):
            if label > 0:
                relevant[group.query_id].add(doc_id)
    return relevant


def learns_across(network: Network) -> TypeGuard[SingleVectorEncoder]:
    """Whether texts have a vector each, and queries learn from all documents of a step."""
    return isinstance(network, SingleVectorEncoder) and network.in_batch_negatives
