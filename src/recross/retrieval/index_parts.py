"""Indexes of faiss built part by part; a part that is finished is never built again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import faiss
import numpy as np
from faiss.contrib.ondisk import merge_ondisk

from recross.artefacts.opening import open_once
from recross.records import JsonObject
from recross.retrieval.matches import Matches
from recross.writing.progress import progress
from recross.writing.whole_files import replace_file

if TYPE_CHECKING:
    from recross.inference.encoders.pooled import Vectors
    from recross.retrieval.document_vectors import DocumentVectors

INDEX, TRAINED, LISTS = "index.faiss", "trained.faiss", "index.lists"

VECTORS_PER_PART = 1 << 18
"""Vectors that are added together, and what an interruption loses at most."""

_QUERIES_AT_ONCE = 1024

BuildIndex = Callable[[], faiss.Index]


def build_parts(folder: Path, documents: DocumentVectors, build: BuildIndex) -> JsonObject:
    """Build an index of each part of the vectors; those of few are one index."""
    for path, start, stop in _list_parts(folder, documents):
        if not path.is_file():
            index = build()
            _add(index, documents, start, stop)
            _write_index(index, path)
    return {"documents": len(documents)}


def build_merged(folder: Path, documents: DocumentVectors, train: BuildIndex) -> JsonObject:
    """Train an index of cells, add the vectors of each part, and merge the parts on the disk."""
    trained, parts = folder / TRAINED, list(_list_parts(folder, documents))
    if not (folder / INDEX).is_file():
        if not trained.is_file():
            _write_index(train(), trained)
        for path, start, stop in parts:
            if not path.is_file():
                index = faiss.read_index(str(trained))
                _add(index, documents, start, stop, is_numbered=True)
                _write_index(index, path)
        if len(parts) > 1:
            index = faiss.read_index(str(trained))
            merge_ondisk(index, [str(path) for path, *_ in parts], str(folder / LISTS))
            _write_index(index, folder / INDEX)
    for path in (trained, *(path for path, *_ in parts if path.name != INDEX)):
        path.unlink(missing_ok=True)
    return {"documents": len(documents)}


def search_parts(
    folder: Path, queries: Vectors, depth: int, width: faiss.SearchParameters
) -> list[Matches]:
    """Search one part after the other; keep the best of all for each query."""
    best = [Matches(np.empty(0, np.int64), np.empty(0, np.float32))] * len(queries)
    start = 0
    for index in open_once(_read_parts, folder):
        for place, found in enumerate(search_index(index, queries, depth, width)):
            rows = np.concatenate([best[place].rows, found.rows + start])
            scores = np.concatenate([best[place].scores, found.scores])
            best[place] = Matches(rows, scores).keep_best(depth)
        start += index.ntotal
    return best


def search_index(
    index: faiss.Index, queries: Vectors, depth: int, width: faiss.SearchParameters
) -> list[Matches]:
    """Each query's best documents in one index, some queries at a time."""
    found: list[Matches] = []
    depth = min(depth, index.ntotal)
    for start in range(0, len(queries), _QUERIES_AT_ONCE):
        nearest = index.search(queries[start : start + _QUERIES_AT_ONCE], depth, params=width)
        # an index that finds fewer than asked says -1
        found += [
            Matches(rows, scores).select(rows >= 0) for scores, rows in zip(*nearest, strict=True)
        ]
    return found


def read_index(folder: Path) -> faiss.Index:
    """Open the one index of a folder; cells that were merged on the disk stay there."""
    return faiss.read_index(str(folder / INDEX), faiss.IO_FLAG_ONDISK_SAME_DIR)


def _read_parts(folder: Path) -> list[faiss.Index]:
    if (folder / INDEX).is_file():
        return [read_index(folder)]
    return [faiss.read_index(str(path)) for path in sorted(folder.glob("part_*.faiss"))]


def _list_parts(folder: Path, documents: DocumentVectors) -> Iterator[tuple[Path, int, int]]:
    """The file of each part, and which vectors it has."""
    total = len(documents)
    if total <= VECTORS_PER_PART:
        yield folder / INDEX, 0, total
        return
    for number, start in enumerate(range(0, total, VECTORS_PER_PART)):
        yield folder / f"part_{number:05}.faiss", start, min(start + VECTORS_PER_PART, total)


def _add(
    index: faiss.Index, documents: DocumentVectors, start: int, stop: int, is_numbered: bool = False
) -> None:
    """Add vectors, as the index counts them or numbered as documents."""
    with progress(stop - start, "indexing", "vector") as bar:
        for first, block in documents.blocks(start, stop):
            if is_numbered:
                index.add_with_ids(block, np.arange(first, first + len(block)))
            else:
                index.add(block)
            bar.update(len(block))


def _write_index(index: faiss.Index, path: Path) -> None:
    """Write a file that is whole when it has its name."""
    with replace_file(path) as partial:
        faiss.write_index(index, str(partial))
