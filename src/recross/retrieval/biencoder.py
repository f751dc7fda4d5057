"""A bi-encoder (Reimers & Gurevych 2019), exact or on faiss (Johnson et al. 2017), whose only home.

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
import torch
import torch.nn.functional as F

from recross.collections.collection import Collection
from recross.errors import InputError
from recross.inference.encoders.pooled import Vectors
from recross.machine.hardware import Hardware
from recross.parts.identity import READ, handed_over
from recross.retrieval.document_vectors import DocumentVectors
from recross.retrieval.found import Found, run_of
from recross.retrieval.sentence_encoder import SentenceEncoder, load_encoder
from recross.runs import Run
from recross.store import DEFAULT_STORE, Store

TRAINED_PER_LIST = 256
"""Vectors that faiss's clustering looks at for each cell; more are thrown away by it."""

QUERIES_AT_ONCE = 256
"""Queries multiplied with a block together: bounds the memory for their products."""

TILE = 64
"""Rows are multiplied in multiples of it: those of a part of a tile are summed in another order."""

NOTHING = Found(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32))


@dataclass(frozen=True)
class BiEncoder:
    """Dense retrieval with a sentence-transformers checkpoint.

    ``index``: ``Flat`` is exact; ``HNSW`` (graph of ``hnsw_links`` neighbours, searched
    ``hnsw_search`` wide) and ``IVF`` (``ivf_lists`` cells, ``ivf_probes`` of them searched) trade
    recall for speed. Vectors and approximate indexes lie in the store, in half precision.
    """

    checkpoint: str = field(metadata=READ)
    index: Literal["Flat", "HNSW", "IVF"] = "Flat"
    max_length: int = 256
    hnsw_links: int = 32
    hnsw_search: int = 128
    ivf_lists: int = 64
    ivf_probes: int = 16
    store: Path = handed_over(DEFAULT_STORE)
    hardware: Hardware = handed_over(Hardware())

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
        if self.index == "Flat" or not len(queries):
            found = search(documents, queries, depth)
        else:
            found = self._search_index(collection, documents, queries, depth)
        return run_of("biencoder", documents.doc_ids, zip(query_ids, found, strict=True), depth)

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

        encoder = BiEncoder(self.checkpoint, max_length=self.max_length, hardware=self.hardware)
        identity = {"encoder": encoder, **self._made_from(collection)}
        return _open(Store(self.store).artefact("vectors", identity, make, resumable=True))

    @property
    def _encoder(self) -> SentenceEncoder:
        return load_encoder(self.checkpoint, self.max_length, self.hardware)

    def _made_from(self, collection: Collection) -> Mapping[str, Any]:
        return {
            "collection": collection.texts_fingerprint,
            "storage": "fp16",
        }

    def _search_index(
        self, collection: Collection, documents: DocumentVectors, queries: Vectors, depth: int
    ) -> list[Found]:
        index = self._index(collection, documents)
        nearest = zip(*index.search(queries, min(depth, len(documents))), strict=True)
        # an approximate index that finds fewer than asked says -1
        return [Found(rows, scores).where(rows >= 0) for scores, rows in nearest]

    def _index(self, collection: Collection, documents: DocumentVectors) -> Any:
        def make(folder: Path) -> Mapping[str, Any]:
            index = self._build_index(documents)
            faiss.write_index(index, str(folder / "index.faiss"))
            return {"documents": len(documents)}

        identity = {"retriever": self, **self._made_from(collection)}
        return _load_index(Store(self.store).artefact("faiss", identity, make))

    def _build_index(self, documents: DocumentVectors) -> Any:
        count, dimension = documents.vectors.shape
        half: Any = faiss.ScalarQuantizer.QT_fp16
        product = faiss.METRIC_INNER_PRODUCT
        index: Any
        if self.index == "HNSW":
            index = faiss.IndexHNSWSQ(dimension, half, self.hnsw_links, product)
            index.hnsw.efSearch = self.hnsw_search
        else:
            lists = min(self.ivf_lists, count)
            cells = faiss.IndexFlatIP(dimension)
            index = faiss.IndexIVFScalarQuantizer(cells, dimension, lists, half, product, False)
            index.nprobe = min(self.ivf_probes, lists)
            index.train(documents.sample(TRAINED_PER_LIST * lists))
        for _, block in documents.blocks():
            index.add(block)
        return index


def search(documents: DocumentVectors, queries: Vectors, depth: int) -> list[Found]:
    """Search exactly: each query's best ``depth`` documents and those that tie with the last.

    All queries are compared with one block of documents after the other, straight from the disk.
    """
    found = [NOTHING] * len(queries)
    for start, block in documents.blocks():
        for first in range(0, len(queries), QUERIES_AT_ONCE):
            products = cosines(queries[first : first + QUERIES_AT_ONCE], block)
            for number, scores in enumerate(products, first):
                found[number] = _with_block(found[number], start, scores, depth)
    return found


def cosines(queries: Vectors, documents: Vectors) -> Vectors:
    """Products of unit vectors ``(Q, N)``; equal documents have equal ones, to the last bit."""
    asked, rows = torch.from_numpy(queries), torch.from_numpy(documents)
    whole = len(rows) // TILE * TILE
    last = F.pad(rows[whole:], (0, 0, 0, -len(rows) % TILE))
    products = torch.cat([asked @ rows[:whole].T, asked @ last.T], dim=1)
    found: Vectors = products[:, : len(rows)].numpy()
    return found


def _with_block(found: Found, start: int, scores: Vectors, depth: int) -> Found:
    lowest = found.scores.min() if len(found.scores) >= depth else -np.inf
    near = np.flatnonzero(scores >= lowest)
    rows = np.concatenate([found.rows, near + start])
    return Found(rows, np.concatenate([found.scores, scores[near]])).best(depth)


@cache
def _open(folder: Path) -> DocumentVectors:
    return DocumentVectors.open(folder)


@cache
def _load_index(folder: Path) -> Any:
    return faiss.read_index(str(folder / "index.faiss"))
