"""A bi-encoder on faiss (Reimers & Gurevych 2019; Johnson et al. 2017); the only home of faiss.

Queries and documents are encoded apart and compared by cosine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

import faiss
import numpy as np

from recross.collection import Collection
from recross.errors import InputError
from recross.hardware import Hardware
from recross.inference.pooled import Vectors
from recross.inference.tokens import Ints
from recross.retrieval.document_vectors import DocumentVectors
from recross.retrieval.sentence_encoder import SentenceEncoder, load_encoder
from recross.runs import Run
from recross.store import DEFAULT_STORE, READ, Store, describe

TRAINED_PER_LIST = 256
"""Vectors that faiss's clustering looks at for each cell; more are thrown away by it."""


@dataclass(frozen=True)
class BiEncoder:
    """Dense retrieval with a sentence-transformers checkpoint.

    ``index``: ``Flat`` is exact; ``HNSW`` (graph of ``hnsw_links`` neighbours, searched
    ``hnsw_search`` wide) and ``IVF`` (``ivf_lists`` cells, ``ivf_probes`` of them searched) trade
    recall for speed. Vectors, in half precision, and the approximate indexes lie in the store.
    """

    checkpoint: str = field(metadata=READ)
    index: Literal["Flat", "HNSW", "IVF"] = "Flat"
    max_length: int = 256
    hnsw_links: int = 32
    hnsw_search: int = 128
    ivf_lists: int = 64
    ivf_probes: int = 16
    store: Path = field(default=DEFAULT_STORE, compare=False)
    hardware: Hardware = field(default=Hardware(), compare=False)

    def __post_init__(self) -> None:
        for name in ("max_length", "hnsw_links", "hnsw_search", "ivf_lists", "ivf_probes"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.ivf_probes > self.ivf_lists:
            raise InputError(
                f"ivf_probes must not exceed ivf_lists={self.ivf_lists}, got {self.ivf_probes}"
            )

    def retrieve(self, collection: Collection, query_ids: Sequence[str], depth: int) -> Run:
        """Search the whole collection for all queries at once."""
        documents = self.document_vectors(collection)
        queries = self.encode([collection.queries[query_id] for query_id in query_ids])
        depth = min(depth, len(documents))
        if not len(queries):
            scores, found = np.empty((0, depth), np.float32), np.empty((0, depth), np.int64)
        elif self.index == "Flat":
            scores, found = search(documents, queries, depth)
        else:
            scores, found = self._index(collection, documents).search(queries, depth)
        ranked = {
            query_id: {
                documents.doc_ids[number]: score
                for number, score in zip(found[row].tolist(), scores[row].tolist(), strict=True)
                if number >= 0  # an approximate index may find fewer than asked
            }
            for row, query_id in enumerate(query_ids)
        }
        return Run.from_scores("biencoder", ranked)

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors in single precision, ``(N, D)``."""
        parts = list(self._encoder.encode(texts))
        if not parts:
            return np.empty((0, 0), dtype=np.float32)
        vectors = np.empty((len(texts), parts[0][1].shape[1]), dtype=np.float32)
        for rows, found in parts:
            vectors[rows] = found
        return vectors

    @property
    def parameters(self) -> int:
        """Parameters of the encoder."""
        return self._encoder.parameters

    def document_vectors(self, collection: Collection) -> DocumentVectors:
        """Every document's vector, encoded first if the store has them not.

        An encoding that was interrupted goes on where it stopped.
        """

        def make(folder: Path) -> Mapping[str, Any]:
            return DocumentVectors.write(folder, collection.documents, self._encoder.encode)

        encoder = describe(BiEncoder(self.checkpoint, max_length=self.max_length))
        identity = {"encoder": encoder, **self._made_from(collection)}
        return _open(Store(self.store).artefact("vectors", identity, make, resumable=True))

    @property
    def _encoder(self) -> SentenceEncoder:
        return load_encoder(self.checkpoint, self.max_length, self.hardware)

    def _made_from(self, collection: Collection) -> Mapping[str, Any]:
        return {
            "collection": collection.fingerprint,
            "precision": self.hardware.effective_precision,
            "storage": "fp16",
        }

    def _index(self, collection: Collection, documents: DocumentVectors) -> Any:
        def make(folder: Path) -> Mapping[str, Any]:
            index = self._build_index(documents)
            faiss.write_index(index, str(folder / "index.faiss"))
            return {"documents": len(documents)}

        identity = {"retriever": self, **self._made_from(collection)}
        return _load_index(Store(self.store).artefact("faiss", identity, make))

    def _build_index(self, documents: DocumentVectors) -> Any:
        count, dimensions = documents.vectors.shape
        index: Any
        if self.index == "HNSW":
            index = faiss.IndexHNSWFlat(dimensions, self.hnsw_links, faiss.METRIC_INNER_PRODUCT)
            index.hnsw.efSearch = self.hnsw_search
        else:
            lists = min(self.ivf_lists, count)
            quantizer = faiss.IndexFlatIP(dimensions)
            index = faiss.IndexIVFFlat(quantizer, dimensions, lists, faiss.METRIC_INNER_PRODUCT)
            index.nprobe = min(self.ivf_probes, lists)
            index.train(documents.sample(TRAINED_PER_LIST * lists))
        for _, block in documents.blocks():
            index.add(block)
        return index


def search(documents: DocumentVectors, queries: Vectors, depth: int) -> tuple[Vectors, Ints]:
    """Search exactly: the best products of each query and the rows they belong to, ``(Q, depth)``.

    All queries are compared with one block of documents after the other, straight from the disk.
    """
    scores = np.empty((len(queries), 0), dtype=np.float32)
    rows = np.empty((len(queries), 0), dtype=np.int64)
    for start, block in documents.blocks():
        size = min(depth, len(block))
        near, at = faiss.knn(queries, block, size, metric=faiss.METRIC_INNER_PRODUCT)
        scores = np.concatenate([scores, near], axis=1)
        rows = np.concatenate([rows, at + start], axis=1)
        best = np.argsort(-scores, axis=1, kind="stable")[:, :depth]
        scores, rows = np.take_along_axis(scores, best, 1), np.take_along_axis(rows, best, 1)
    return scores, rows


@cache
def _open(folder: Path) -> DocumentVectors:
    return DocumentVectors.open(folder)


@cache
def _load_index(folder: Path) -> Any:
    return faiss.read_index(str(folder / "index.faiss"))
