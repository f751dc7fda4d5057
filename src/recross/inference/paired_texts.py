"""Queries and documents that a network encodes apart, each once, and the pairs to be scored."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from recross.inference.arrival import copy_to
from recross.inference.batches import PackedBatch
from recross.inference.sequences import Sequences, by_length
from recross.inference.spans import Ints


@dataclass(frozen=True)
class PairedBatch:
    """The texts of some pairs on one device, each once.

    ``query_rows`` and ``document_rows`` say which of the queries and of the documents a pair is
    made of; ``group_sizes`` how many pairs have a document of each of the documents' groups.
    """

    queries: PackedBatch
    documents: PackedBatch
    query_rows: Tensor  # (B,)
    document_rows: Tensor  # (B,)
    group_sizes: list[int]

    def to(self, device: torch.device) -> PairedBatch:
        """The same batch on another device."""
        return PairedBatch(
            self.queries.to(device),
            self.documents.to(device),
            copy_to(self.query_rows, device),
            copy_to(self.document_rows, device),
            self.group_sizes,
        )

    def __len__(self) -> int:
        return len(self.query_rows)


@dataclass(frozen=True)
class PairedTexts:
    """Texts as token sequences, and pairs as numbers of a query and a document.

    Queries count for ``query_length`` tokens where a network fills them up to as many.
    """

    queries: Sequences
    documents: Sequences
    pairs: Ints  # (B, 2)
    query_length: int = 0

    @cached_property
    def lengths(self) -> Ints:
        """Tokens of both texts of each pair, ``(B,)``."""
        queries, documents = self.pairs.T
        query_lengths = np.maximum(self.queries.lengths, self.query_length)
        lengths: Ints = query_lengths[queries] + self.documents.lengths[documents]
        return lengths

    @property
    def lost(self) -> Ints:
        """Tokens that were cut from the query and from the document of each pair, ``(B, 2)``."""
        queries, documents = self.pairs.T
        return np.column_stack([self.queries.lost[queries, 0], self.documents.lost[documents, 0]])

    def take(self, which: Ints) -> PairedTexts:
        """These pairs, in this order."""
        return PairedTexts(self.queries, self.documents, self.pairs[which], self.query_length)

    def on(self, device: torch.device) -> PairedBatch:
        """These pairs as a batch on a device, with their texts alone."""
        queries, query_rows = _take_distinct(self.queries, self.pairs[:, 0])
        documents, document_rows = _take_distinct(self.documents, self.pairs[:, 1])
        _, group_sizes = np.unique(-documents.lengths[document_rows], return_counts=True)
        return PairedBatch(
            queries.on(device),
            documents.on(device),
            torch.from_numpy(query_rows).to(device),
            torch.from_numpy(document_rows).to(device),
            group_sizes.tolist(),
        )


def _take_distinct(texts: Sequences, numbers: Ints) -> tuple[Sequences, Ints]:
    """The texts with these numbers, each once, longest first, and which of them each number is.

    Of texts of 2, 5 and 4 tokens the numbers ``2, 0, 2`` take the third and the first, and are
    ``0, 1, 0`` of them.
    """
    distinct, places = np.unique(numbers, return_inverse=True)
    order = by_length(texts.lengths[distinct])
    return texts.take(distinct[order]), np.argsort(order)[places]
