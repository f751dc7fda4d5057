"""A bi-encoder on faiss (Reimers & Gurevych 2019; Johnson et al. 2017).

Queries and documents are encoded apart and compared by cosine. The only home of
sentence-transformers' encoder and of faiss.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import faiss
import numpy as np
import numpy.typing as npt

from recross.checkpoints import locate
from recross.collection import Collection
from recross.errors import InputError
from recross.hardware import Hardware
from recross.runs import Run
from recross.store import DEFAULT_STORE, READ, Store, describe

logger = logging.getLogger(__name__)

Vectors = npt.NDArray[np.float32]
ENCODED_AT_ONCE = 50_000


@dataclass(frozen=True)
class BiEncoder:
    """Dense retrieval with a sentence-transformers checkpoint.

    ``index``: ``Flat`` is exact; ``HNSW`` (graph of ``hnsw_links`` neighbours, searched
    ``hnsw_search`` wide) and ``IVF`` (``ivf_lists`` cells, ``ivf_probes`` of them searched) trade
    recall for speed. Vectors and trained indexes lie in the store.
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
        """Search the whole collection for each query."""
        index, doc_ids = self._search_index(collection)
        queries = self.encode([collection.queries[query_id] for query_id in query_ids])
        scores, found = index.search(queries, min(depth, len(doc_ids)))
        ranked = {
            query_id: {
                doc_ids[number]: float(score)
                for number, score in zip(found[row], scores[row], strict=True)
                if number >= 0  # an approximate index may find fewer than asked
            }
            for row, query_id in enumerate(query_ids)
        }
        return Run.from_scores("biencoder", ranked)

    def encode(self, texts: Sequence[str], show_progress: bool = False) -> Vectors:
        """Unit vectors, ``(N, D)``."""
        encoder = _encoder(self.checkpoint, self.max_length, str(self.hardware.device))
        vectors: Vectors = encoder.encode(
            list(texts),
            batch_size=32,
            normalize_embeddings=True,
            show_progress_bar=show_progress,
            convert_to_numpy=True,
        )
        return vectors.astype(np.float32, copy=False)

    @property
    def parameters(self) -> int:
        """Parameters of the encoder."""
        encoder = _encoder(self.checkpoint, self.max_length, str(self.hardware.device))
        return sum(parameter.numel() for parameter in encoder.parameters())

    def document_vectors(self, collection: Collection) -> tuple[Vectors, list[str]]:
        """Every document's vector, memory-mapped, and the documents they belong to."""

        def make(folder: Path) -> Mapping[str, Any]:
            doc_ids: list[str] = []
            parts: list[Vectors] = []
            for chunk in _chunks(collection.documents.items(), ENCODED_AT_ONCE):
                doc_ids += [doc_id for doc_id, _ in chunk]
                logger.info(
                    "bi-encoder: encoding documents %d to %d",
                    len(doc_ids) - len(chunk) + 1,
                    len(doc_ids),
                )
                parts.append(self.encode([text for _, text in chunk], sys.stderr.isatty()))
            np.save(folder / "vectors.npy", np.concatenate(parts))
            (folder / "doc_ids.txt").write_text("\n".join(doc_ids), encoding="utf-8")
            return {"documents": len(doc_ids), "dimensions": parts[0].shape[1]}

        encoder = describe(BiEncoder(self.checkpoint, max_length=self.max_length))
        identity = {"encoder": encoder, "collection": collection.fingerprint}
        folder = Store(self.store).artefact("vectors", identity, make)
        return _load_vectors(folder)

    def _search_index(self, collection: Collection) -> tuple[Any, list[str]]:
        vectors, doc_ids = self.document_vectors(collection)

        def make(folder: Path) -> Mapping[str, Any]:
            index = self._build_index(vectors)
            faiss.write_index(index, str(folder / "index.faiss"))
            return {"documents": len(doc_ids)}

        identity = {"retriever": self, "collection": collection.fingerprint}
        folder = Store(self.store).artefact("faiss", identity, make)
        return _load_index(folder), doc_ids

    def _build_index(self, vectors: Vectors) -> Any:
        count, dimensions = vectors.shape
        index: Any
        if self.index == "Flat":
            index = faiss.IndexFlatIP(dimensions)
        elif self.index == "HNSW":
            index = faiss.IndexHNSWFlat(dimensions, self.hnsw_links, faiss.METRIC_INNER_PRODUCT)
            index.hnsw.efSearch = self.hnsw_search
        else:
            lists = min(self.ivf_lists, count)
            quantizer = faiss.IndexFlatIP(dimensions)
            index = faiss.IndexIVFFlat(quantizer, dimensions, lists, faiss.METRIC_INNER_PRODUCT)
            index.nprobe = min(self.ivf_probes, lists)
            index.train(vectors)
        index.add(np.ascontiguousarray(vectors))
        return index


def _chunks(items: Any, size: int) -> Iterator[list[tuple[str, str]]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


@cache
def _encoder(checkpoint: str, max_length: int, device: str) -> Any:
    from sentence_transformers import SentenceTransformer  # seconds to import

    encoder = SentenceTransformer(str(locate(checkpoint)), device=device)
    encoder.max_seq_length = max_length
    return encoder


@cache
def _load_vectors(folder: Path) -> tuple[Vectors, list[str]]:
    vectors: Vectors = np.load(folder / "vectors.npy", mmap_mode="r")
    return vectors, (folder / "doc_ids.txt").read_text(encoding="utf-8").split("\n")


@cache
def _load_index(folder: Path) -> Any:
    return faiss.read_index(str(folder / "index.faiss"))
