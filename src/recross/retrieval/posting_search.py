"""Search of posting lists that lie on disk in parts: one after the other, the best of all kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse

from recross.artefacts.strings import NameFile, StringFile
from recross.retrieval.matches import Matches
from recross.retrieval.posting_counts import DOC_IDS, TERMS
from recross.retrieval.posting_parts import ABSENT, open_parts
from recross.retrieval.sparse_index import SparseIndex

_QUERIES_AT_ONCE = 1024
"""Queries that are looked for in a part together, before the next part is read."""


class PostingPart(NamedTuple):
    """Some consecutive documents of a collection, numbered from ``start``."""

    start: int
    postings: SparseIndex


@dataclass(frozen=True)
class PostingIndex:
    """All parts of an inverted index, memory-mapped, and what their terms and documents are."""

    parts: Sequence[PostingPart]
    terms: NameFile
    doc_ids: StringFile
    absent: npt.NDArray[np.float32] | None  # (terms,) what a document without a term is given

    @classmethod
    def open(cls, folder: Path) -> PostingIndex:
        """Map a finished folder into memory."""
        parts = []
        for weights, documents, starts, span in open_parts(folder):
            shape = (len(starts) - 1, len(span))
            matrix = sparse.csr_array((weights, documents, starts), shape)
            parts.append(PostingPart(span.start, SparseIndex(matrix)))
        path = folder / ABSENT
        absent = np.load(path, mmap_mode="r") if path.is_file() else None
        terms, doc_ids = StringFile(folder, TERMS), StringFile(folder, DOC_IDS)
        return cls(parts, NameFile(terms), doc_ids, absent)

    def search(self, queries: Sequence[Sequence[str]], depth: int) -> Iterator[Matches]:
        """Yield each query's best ``depth`` documents and those that tie with the last of them.

        A query is a list of terms, of which unknown ones say nothing; scores are all above zero.
        """
        for start in range(0, len(queries), _QUERIES_AT_ONCE):
            yield from self._search_together(queries[start : start + _QUERIES_AT_ONCE], depth)

    def _search_together(self, queries: Sequence[Sequence[str]], depth: int) -> list[Matches]:
        distinct = list(dict.fromkeys(chain.from_iterable(queries)))
        numbers = dict(zip(distinct, self.terms.find_all(distinct), strict=True))
        known = [[n for term in query if (n := numbers[term]) is not None] for query in queries]
        added = None
        if self.absent is not None:
            added = np.array([self.absent[query].sum() for query in known])
        found: list[list[Matches]] = [[] for _ in queries]
        for start, postings in self.parts:
            terms = postings.weights.shape[0]  # those of later parts have no row
            own = [[number for number in query if number < terms] for query in known]
            matches = postings.search(_count_terms(own, postings.weights), depth, added)
            for pieces, (rows, scores) in zip(found, matches, strict=True):
                pieces.append(Matches(rows + start, scores))
        return [_join(pieces, depth) for pieces in found]


def _join(pieces: Sequence[Matches], depth: int) -> Matches:
    if len(pieces) == 1:
        return pieces[0]
    rows, scores = (np.concatenate(column) for column in zip(*pieces, strict=True))
    return Matches(rows, scores).keep_best(depth)


def _count_terms(queries: Sequence[Sequence[int]], weights: sparse.csr_array) -> sparse.csr_array:
    """Queries as rows; a term that is twice in a query stands twice, so that it counts twice."""
    terms = np.fromiter(chain.from_iterable(queries), dtype=weights.indices.dtype)
    starts = np.cumsum([0, *map(len, queries)]).astype(weights.indices.dtype)
    ones = np.ones(len(terms), dtype=weights.dtype)
    return sparse.csr_array((ones, terms, starts), shape=(len(queries), weights.shape[0]))
