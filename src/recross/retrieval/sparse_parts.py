"""Weights of documents' terms, encoded in parts, and put together by term: few are ever in memory.

A part is an artefact of its own. When all are there, the first look at them counts how many
documents hold each term, and the second writes every weight to its place in the posting lists.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import sparse

from recross.records import Cost, JsonObject
from recross.retrieval.cuts import count_document_cuts, describe_cuts, read_cuts
from recross.retrieval.posting_counts import Counts
from recross.retrieval.sparse_index import SparseIndex
from recross.sharing.document_parts import DocumentParts
from recross.store import read_manifest, write_json
from recross.writing.whole_files import reserve_space

if TYPE_CHECKING:
    from recross.retrieval.sparse_encoder import WeighedTexts

WEIGHTS, DOCUMENTS, STARTS, DOC_IDS = "weights.npy", "documents.npy", "starts.npy", "doc_ids.json"
PART = "weights.npz"

WeighTexts = Callable[[Sequence[str]], "WeighedTexts"]
"""Weighs the terms of texts, in their order."""


def write_part(folder: Path, texts: Sequence[str], weigh: WeighTexts) -> JsonObject:
    """Weigh the terms of some documents; returns entries for the part's manifest."""
    weighed = weigh(texts)
    sparse.save_npz(folder / PART, weighed.weights)
    return describe_cuts(count_document_cuts(weighed.lengths, weighed.lost))


def join_parts(folder: Path, parts: DocumentParts, doc_ids: Sequence[str]) -> JsonObject:
    """Make the parts that are missing, and of all an index; returns entries for its manifest."""
    parts.make_all()
    starts, cuts = _count_postings(parts)
    _sort_by_term(folder, parts, starts)
    write_json(folder / DOC_IDS, list(doc_ids))
    return {"documents": len(doc_ids), "weights": int(starts[-1]), **describe_cuts(cuts)}


def open_index(folder: Path) -> tuple[SparseIndex, list[str]]:
    """Map a finished index into memory, with the ids of its documents."""
    doc_ids = json.loads((folder / DOC_IDS).read_text(encoding="utf-8"))
    values, documents, starts = (
        np.load(folder / name, mmap_mode="r") for name in (WEIGHTS, DOCUMENTS, STARTS)
    )
    shape = (len(starts) - 1, len(doc_ids))
    return SparseIndex(sparse.csr_array((values, documents, starts), shape=shape)), doc_ids


def _read_parts(parts: DocumentParts) -> Iterator[tuple[range, sparse.csr_array, Cost]]:
    """The documents of each part by number, their weights ``(documents, terms)``, what was cut."""
    for number in range(len(parts)):
        folder = parts.find_made(number)
        cuts = read_cuts(read_manifest(folder))
        yield parts.span(number), sparse.load_npz(folder / PART), cuts


def _count_postings(parts: DocumentParts) -> tuple[Counts, Cost]:
    """Where the list of each term begins, ``(terms + 1,)``, and how much of all texts was cut."""
    held, cuts = np.zeros(0, np.int64), Cost()
    for _, weights, own in _read_parts(parts):
        terms = weights.shape[1]
        held = held if len(held) else np.zeros(terms, np.int64)
        held += np.bincount(weights.indices, minlength=terms)
        cuts += own
    starts = np.concatenate([[0], held.cumsum()])
    most = max(int(starts[-1]), parts.documents)
    return starts.astype(np.int32 if most < 1 << 31 else np.int64), cuts


def _sort_by_term(folder: Path, parts: DocumentParts, starts: Counts) -> None:
    """Write the weights and documents of each term's list, in the order of the documents."""
    total, next_places = int(starts[-1]), starts[:-1].astype(np.int64)
    np.save(folder / STARTS, starts)
    if not total:  # and nothing to map into memory
        np.save(folder / WEIGHTS, np.empty(0, np.float32))
        np.save(folder / DOCUMENTS, np.empty(0, starts.dtype))
        return
    values = _map_new(folder / WEIGHTS, np.float32, total)
    documents = _map_new(folder / DOCUMENTS, starts.dtype, total)
    for span, weights, _ in _read_parts(parts):
        by_term = weights.tocsc()
        held = np.diff(by_term.indptr)
        places = np.repeat(next_places - by_term.indptr[:-1], held) + np.arange(by_term.nnz)
        values[places] = by_term.data
        documents[places] = by_term.indices + span.start
        next_places += held
    values.flush()
    documents.flush()


def _map_new(path: Path, kind: npt.DTypeLike, length: int) -> np.memmap:
    """A new file of numbers, mapped into memory."""
    array = np.lib.format.open_memmap(path, "w+", kind, (length,))
    reserve_space(path)
    return array
