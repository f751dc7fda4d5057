"""Exact search with sparse queries: a product of sparse matrices, shared by BM25 and SPLADE.

Only documents that share a term with a query are visited.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy import sparse

from recross.retrieval.matches import Matches

_QUERIES_AT_ONCE = 32
"""Queries multiplied together: bounds the memory for the scores of all documents they touch."""


@dataclass(frozen=True)
class SparseIndex:
    """The weight of every term in every document, ``(terms, documents)``: an inverted index.

    Rows are posting lists, so arrays that are mapped from a disk are read for the terms of the
    queries alone.
    """

    weights: sparse.csr_array

    def search(
        self,
        queries: sparse.csr_array,
        depth: int,
        added: npt.NDArray[np.float32] | None = None,
    ) -> Iterator[Matches]:
        """Yield each query's best ``depth`` documents and those that tie with the last of them.

        ``queries`` hold the weight of every term ``(Q, terms)``; a term that stands twice in a row
        counts twice. Scores are products in the order of a row's terms, with ``added`` ``(Q,)`` to
        each; only those above zero are found.
        """
        for start in range(0, queries.shape[0], _QUERIES_AT_ONCE):
            products = queries[start : start + _QUERIES_AT_ONCE] @ self.weights  # (Q, documents)
            for number, (begin, end) in enumerate(pairwise(products.indptr), start):
                scores = products.data[begin:end]
                if added is not None:
                    scores += added[number]
                matches = Matches(products.indices[begin:end], scores)
                yield matches.select(scores > 0).keep_best(depth)
