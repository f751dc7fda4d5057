"""Approximate indexes on faiss (Johnson et al. 2017), whose only home: recall traded for speed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import faiss

from recross.artefacts.opening import open_once
from recross.errors import InputError
from recross.parts.bounds import Ge, Le, checked
from recross.records import JsonObject
from recross.retrieval.matches import Matches
from recross.retrieval.vector_index import Keep

if TYPE_CHECKING:
    import torch

    from recross.inference.encoders.pooled import Vectors
    from recross.retrieval.document_vectors import DocumentVectors

TRAINED_PER_LIST = 256
"""Vectors that faiss's clustering looks at for each cell; more are thrown away by it."""

MOST_ON_GPU = 2048
"""Documents of a query, and cells, that faiss searches on a GPU at most."""

HALF: Any = faiss.ScalarQuantizer.QT_fp16
"""Vectors are held as the store has them, in half precision."""


@dataclass(frozen=True)
@checked
class HNSW:
    """A graph of ``links`` neighbours (Malkov & Yashunin 2016), searched ``search`` wide.

    faiss has no form of it for GPUs: it is searched by the processor on any hardware.
    """

    links: Annotated[int, Ge(2), Le(512)] = 32
    search: Annotated[int, Ge(1), Le(1_000_000)] = 128

    def find(
        self,
        documents: DocumentVectors,
        queries: Vectors,
        depth: int,
        keep: Keep,
        device: torch.device,
    ) -> list[Matches]:
        """Search the graph of the documents, which is built once for each number of links."""

        def build() -> faiss.Index:
            dimension = documents.vectors.shape[1]
            return faiss.IndexHNSWSQ(dimension, HALF, self.links, faiss.METRIC_INNER_PRODUCT)

        folder = _keep_index(keep, {"index": "HNSW", "links": self.links}, documents, build)
        width = faiss.SearchParametersHNSW(efSearch=self.search)  # type: ignore[attr-defined]
        return _search(open_once(_read_index, folder), documents, queries, depth, width)


@dataclass(frozen=True)
@checked
class IVF:
    """The documents in ``lists`` cells (Sivic & Zisserman 2003), ``probes`` of them searched.

    A GPU searches them where faiss was built for one, for up to 2,048 documents of a query.
    """

    lists: Annotated[int, Ge(1)] = 64
    probes: Annotated[int, Ge(1)] = 16

    def __post_init__(self) -> None:
        if self.probes > self.lists:
            raise InputError(f"probes must not exceed lists={self.lists}, got {self.probes}")

    def find(
        self,
        documents: DocumentVectors,
        queries: Vectors,
        depth: int,
        keep: Keep,
        device: torch.device,
    ) -> list[Matches]:
        """Search the nearest cells of the documents, which are clustered once for each number."""

        def build() -> faiss.Index:
            count, dimension = documents.vectors.shape
            lists, product = min(self.lists, count), faiss.METRIC_INNER_PRODUCT
            cells = faiss.IndexFlatIP(dimension)
            index = faiss.IndexIVFScalarQuantizer(cells, dimension, lists, HALF, product, False)
            index.train(documents.sample(TRAINED_PER_LIST * lists))
            return index

        folder = _keep_index(keep, {"index": "IVF", "lists": self.lists}, documents, build)
        probes = min(self.probes, self.lists, len(documents))
        width = faiss.SearchParametersIVF(nprobe=probes)  # type: ignore[call-arg]
        fits = max(probes, min(depth, len(documents))) <= MOST_ON_GPU
        on_gpu = device.type == "cuda" and fits and hasattr(faiss, "StandardGpuResources")
        index = open_once(_read_index_onto_gpu if on_gpu else _read_index, folder)
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


def _keep_index(
    keep: Keep, settings: JsonObject, documents: DocumentVectors, build: Callable[[], faiss.Index]
) -> Path:
    """Find the index kept for these settings; the first time, build it and add all vectors."""

    def make(folder: Path) -> JsonObject:
        index = build()
        for _, block in documents.blocks():
            index.add(block)
        faiss.write_index(index, str(folder / "index.faiss"))
        return {"documents": len(documents)}

    return keep(settings, make)


def _read_index(folder: Path) -> faiss.Index:
    return faiss.read_index(str(folder / "index.faiss"))


def _read_index_onto_gpu(folder: Path) -> faiss.Index:
    return copy_to_gpu(open_once(_read_index, folder))


def copy_to_gpu(index: faiss.Index) -> faiss.Index:
    """Copy an index to the GPU of this process; only builds of faiss for GPUs can."""
    import torch

    gpu: Any = faiss
    copied: faiss.Index = gpu.index_cpu_to_gpu(
        gpu.StandardGpuResources(), torch.cuda.current_device(), index
    )
    return copied
