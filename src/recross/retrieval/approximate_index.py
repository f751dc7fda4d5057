"""Approximate indexes on faiss (Johnson et al. 2017), whose only home: recall traded for speed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import faiss

from recross.errors import InputError
from recross.inference.encoders.pooled import Vectors
from recross.parts.bounds import Ge, checked
from recross.records import JsonObject
from recross.retrieval.document_vectors import DocumentVectors
from recross.retrieval.matches import Matches
from recross.retrieval.vector_index import Keep

TRAINED_PER_LIST = 256
"""Vectors that faiss's clustering looks at for each cell; more are thrown away by it."""

HALF: Any = faiss.ScalarQuantizer.QT_fp16
"""Vectors are held as the store has them, in half precision."""


@dataclass(frozen=True)
@checked
class HNSW:
    """A graph of ``links`` neighbours (Malkov & Yashunin 2016), searched ``search`` wide."""

    links: Annotated[int, Ge(1)] = 32
    search: Annotated[int, Ge(1)] = 128

    def find(
        self, documents: DocumentVectors, queries: Vectors, depth: int, keep: Keep
    ) -> list[Matches]:
        """Search the graph of the documents, which is built once for each number of links."""

        def build() -> faiss.Index:
            dimension = documents.vectors.shape[1]
            return faiss.IndexHNSWSQ(dimension, HALF, self.links, faiss.METRIC_INNER_PRODUCT)

        index = _open_index(keep, {"index": "HNSW", "links": self.links}, documents, build)
        width = faiss.SearchParametersHNSW(efSearch=self.search)  # type: ignore[attr-defined]
        return _search(index, documents, queries, depth, width)


@dataclass(frozen=True)
@checked
class IVF:
    """The documents in ``lists`` cells (Sivic & Zisserman 2003), ``probes`` of them searched."""

    lists: Annotated[int, Ge(1)] = 64
    probes: Annotated[int, Ge(1)] = 16

    def __post_init__(self) -> None:
        if self.probes > self.lists:
            raise InputError(f"probes must not exceed lists={self.lists}, got {self.probes}")

    def find(
        self, documents: DocumentVectors, queries: Vectors, depth: int, keep: Keep
    ) -> list[Matches]:
        """Search the nearest cells of the documents, which are clustered once for each number."""

        def build() -> faiss.Index:
            count, dimension = documents.vectors.shape
            lists, product = min(self.lists, count), faiss.METRIC_INNER_PRODUCT
            cells = faiss.IndexFlatIP(dimension)
            index = faiss.IndexIVFScalarQuantizer(cells, dimension, lists, HALF, product, False)
            index.train(documents.sample(TRAINED_PER_LIST * lists))
            return index

        index = _open_index(keep, {"index": "IVF", "lists": self.lists}, documents, build)
        width = faiss.SearchParametersIVF(nprobe=min(self.probes, self.lists, len(documents)))  # type: ignore[call-arg]
        return _search(index, documents, queries, depth, width)


def _search(
    index: faiss.Index,
    documents: DocumentVectors,
    queries: Vectors,
    depth: int,
    width: faiss.SearchParameters,
) -> list[Matches]:
    if not len(queries):
        return []
    nearest = index.search(queries, min(depth, len(documents)), params=width)
    # an index that finds fewer than asked says -1
    return [Matches(rows, scores).select(rows >= 0) for scores, rows in zip(*nearest, strict=True)]


def _open_index(
    keep: Keep, settings: JsonObject, documents: DocumentVectors, build: Callable[[], faiss.Index]
) -> faiss.Index:
    """Read the index kept for these settings; the first time, build it and add all vectors."""

    def make(folder: Path) -> JsonObject:
        index = build()
        for _, block in documents.blocks():
            index.add(block)
        faiss.write_index(index, str(folder / "index.faiss"))
        return {"documents": len(documents)}

    return _read_index(keep(settings, make))


@cache
def _read_index(folder: Path) -> faiss.Index:
    return faiss.read_index(str(folder / "index.faiss"))
