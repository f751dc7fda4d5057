"""Approximate indexes on faiss (Johnson et al. 2017), whose only home: recall traded for speed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import faiss
import numpy as np

from recross.artefacts.opening import open_once
from recross.errors import InputError
from recross.parts.bounds import Ge, Le, UpTo, checked
from recross.retrieval.index_parts import (
    build_merged,
    build_parts,
    read_index,
    search_index,
    search_parts,
)
from recross.retrieval.matches import Matches
from recross.retrieval.vector_index import VectorSearch

if TYPE_CHECKING:
    from recross.inference.encoders.pooled import Vectors
    from recross.retrieval.document_vectors import DocumentVectors

TRAINED_PER_LIST = 256
"""Vectors that faiss's clustering looks at for each cell; more are thrown away by it."""

MOST_TRAINED, LEAST_PER_LIST = 1 << 20, 39
"""Of many cells fewer vectors are looked at: a million, or as few for each as faiss asks for."""

CODES = 256
"""Codes that a byte of a shortened vector tells apart; it is trained on as many vectors each."""

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

    def find(self, search: VectorSearch) -> list[Matches]:
        """Search the graph of the documents, which is built once for each number of links."""

        def build() -> faiss.Index:
            dimension = search.documents.vectors.shape[1]
            return faiss.IndexHNSWSQ(dimension, HALF, self.links, faiss.METRIC_INNER_PRODUCT)

        make = partial(build_parts, documents=search.documents, build=build)
        folder = search.keep({"index": "HNSW", "links": self.links}, make)
        width = faiss.SearchParametersHNSW(efSearch=self.search)  # type: ignore[attr-defined]
        return search_parts(folder, search.queries, search.most, width)


@dataclass(frozen=True)
@checked
class IVF:
    """The documents in ``lists`` cells (Sivic & Zisserman 2003), ``probes`` of them searched.

    A GPU searches them where faiss was built for one, for up to 2,048 documents of a query.
    """

    lists: Annotated[int, Ge(1)] = 64
    probes: Annotated[int, Ge(1), UpTo("lists")] = 16

    def find(self, search: VectorSearch) -> list[Matches]:
        """Search the nearest cells of the documents, which are clustered once for each number."""

        def build() -> faiss.Index:
            count, dimension = search.documents.vectors.shape
            lists, product = min(self.lists, count), faiss.METRIC_INNER_PRODUCT
            cells = faiss.IndexFlatIP(dimension)
            index = faiss.IndexIVFScalarQuantizer(cells, dimension, lists, HALF, product, False)
            index.train(search.documents.sample(count_sample(lists)))
            return index

        make = partial(build_merged, documents=search.documents, train=build)
        folder = search.keep({"index": "IVF", "lists": self.lists}, make)
        probes = min(self.probes, self.lists, len(search.documents))
        width = faiss.SearchParametersIVF(nprobe=probes)  # type: ignore[call-arg]
        fits = max(probes, search.most) <= MOST_ON_GPU
        on_gpu = search.device.type == "cuda" and fits and hasattr(faiss, "StandardGpuResources")
        index = open_once(_read_index_onto_gpu if on_gpu else read_index, folder)
        return search_index(index, search.queries, search.most, width)


@dataclass(frozen=True)
@checked
class IVFPQ:
    """Cells as in ``IVF``, with each vector shortened to ``bytes`` (Jégou et al. 2011).

    The vectors themselves stay on the disk: of the best ``depth * rescored`` documents by their
    codes, exact products decide (``rescored=0``: codes alone). With ``coarse="hnsw"`` a graph finds
    the nearest cells, which is worth it from some ten thousand cells on. A processor searches it on
    any hardware.
    """

    lists: Annotated[int, Ge(1)] = 1024
    probes: Annotated[int, Ge(1), UpTo("lists")] = 32
    bytes: Annotated[int, Ge(1)] = 48
    rescored: Annotated[int, Ge(0)] = 4
    coarse: Literal["flat", "hnsw"] = "flat"

    def find(self, search: VectorSearch) -> list[Matches]:
        """Search the nearest cells of the documents, which are clustered and coded once.

        Raises:
            InputError: ``bytes`` does not divide the dimension, or documents are too few to learn
                codes from.
        """
        documents, queries, depth = search.documents, search.queries, search.depth
        count, dimension = documents.vectors.shape
        self._check(count, dimension)
        lists = min(self.lists, count)

        def train() -> faiss.Index:
            cells = f"IVF{lists}" + ("_HNSW32" if self.coarse == "hnsw" else "")
            product = faiss.METRIC_INNER_PRODUCT
            # "np": no order of the codes for Hamming distances, which takes most of a training
            index = faiss.index_factory(dimension, f"{cells},PQ{self.bytes}np", product)
            index.train(documents.sample(max(count_sample(lists), TRAINED_PER_LIST * CODES)))
            return index

        settings = {"lists": self.lists, "bytes": self.bytes, "coarse": self.coarse}
        make = partial(build_merged, documents=documents, train=train)
        folder = search.keep({"index": "IVFPQ", **settings}, make)
        width = faiss.SearchParametersIVF(nprobe=min(self.probes, lists))  # type: ignore[call-arg]
        coded = min(depth * max(self.rescored, 1), count)
        found = search_index(open_once(read_index, folder), queries, coded, width)
        if not self.rescored:
            return found
        pairs = zip(found, queries, strict=True)
        return [_rescore(matches, query, documents, depth) for matches, query in pairs]

    def _check(self, count: int, dimension: int) -> None:
        if dimension % self.bytes:
            raise InputError(
                f"bytes must divide the {dimension} numbers of a vector, got {self.bytes}"
            )
        if count < CODES:
            raise InputError(
                f"retriever.index must have at least {CODES} documents to learn codes from, got"
                f" {count}; take the exact index"
            )


def _rescore(matches: Matches, query: Vectors, documents: DocumentVectors, depth: int) -> Matches:
    """The best of what was found, by exact products with the vectors on the disk."""
    rows = np.sort(matches.rows)  # read in the order in which they lie
    scores = documents.vectors[rows].astype(np.float32) @ query
    return Matches(rows, scores).keep_best(depth)


def count_sample(lists: int) -> int:
    """How many vectors to train so many cells on."""
    return min(TRAINED_PER_LIST * lists, max(MOST_TRAINED, LEAST_PER_LIST * lists))


def copy_to_gpu(index: faiss.Index) -> faiss.Index:
    """Copy an index to the GPU of this process; only builds of faiss for GPUs can."""
    import torch

    gpu: Any = faiss
    copied: faiss.Index = gpu.index_cpu_to_gpu(
        gpu.StandardGpuResources(), torch.cuda.current_device(), index
    )
    return copied


def _read_index_onto_gpu(folder: Path) -> faiss.Index:
    return copy_to_gpu(read_index(folder))
