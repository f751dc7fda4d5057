"""How the nearest vectors are found: what an index is, and the exact one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from recross.records import JsonObject
from recross.retrieval.matches import Matches

if TYPE_CHECKING:
    import torch

    from recross.inference.encoders.pooled import Vectors
    from recross.retrieval.document_vectors import DocumentVectors

_QUERIES_AT_ONCE = 256
"""Queries multiplied with a block together: bounds the memory for their products."""

NOTHING = Matches(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32))

Make = Callable[[Path], JsonObject]
Keep = Callable[[JsonObject, Make], Path]
"""Gives the folder of an index with these settings, made first unless the store has it."""


@dataclass(frozen=True)
class VectorSearch:
    """What is searched: the vectors of documents, for each query's best ``depth`` of them.

    ``keep`` stores an index that is made once; ``device`` is for indexes that can use it.
    """

    documents: DocumentVectors
    queries: Vectors
    depth: int
    keep: Keep
    device: torch.device

    @property
    def most(self) -> int:
        """How many documents a query finds at most."""
        return min(self.depth, len(self.documents))


@runtime_checkable
class VectorIndex(Protocol):
    """A way to find the documents whose vectors are nearest to a query's."""

    def find(self, search: VectorSearch) -> list[Matches]:
        """Return each query's best documents, in the order of the queries."""


@dataclass(frozen=True)
class Exact:
    """Compares every query with every document, straight from the disk, on a GPU if given."""

    def find(self, search: VectorSearch) -> list[Matches]:
        """Return each query's best ``depth`` documents and those that tie with the last of them."""
        from recross.retrieval.device_search import search_on_device

        if search.device.type == "cpu":
            return search_exactly(search.documents, search.queries, search.depth)
        return search_on_device(search.documents, search.queries, search.depth, search.device)


def search_exactly(documents: DocumentVectors, queries: Vectors, depth: int) -> list[Matches]:
    """Compare all queries with one block of documents after the other."""
    best = [NOTHING] * len(queries)
    for start, block in documents.blocks():
        for first in range(0, len(queries), _QUERIES_AT_ONCE):
            products = compute_products(queries[first : first + _QUERIES_AT_ONCE], block)
            for number, scores in enumerate(products, first):
                best[number] = best[number].with_block(start, scores, depth)
    return best


def compute_products(queries: Vectors, documents: Vectors) -> Vectors:
    """Products of vectors ``(Q, N)``; equal documents have equal ones, to the last bit."""
    import torch
    import torch.nn.functional as F

    from recross.retrieval.document_vectors import TILE

    query_vectors, document_vectors = torch.from_numpy(queries), torch.from_numpy(documents)
    whole = len(document_vectors) // TILE * TILE
    last = F.pad(document_vectors[whole:], (0, 0, 0, -len(document_vectors) % TILE))
    products = torch.cat(
        [query_vectors @ document_vectors[:whole].T, query_vectors @ last.T], dim=1
    )
    found: Vectors = products[:, : len(document_vectors)].numpy()
    return found
