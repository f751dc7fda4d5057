"""BM25 (Robertson et al. 1994) in the variant of Lucene; the only home of bm25s.

bm25s tokenises, weighs and stores; the search is the product of the sparse index.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import Stemmer
from scipy import sparse

from recross.collections.collection import Collection
from recross.errors import InputError
from recross.parts.bounds import Ge, Le, checked
from recross.parts.closest import say_unknown
from recross.parts.identity import handed_over
from recross.records import JsonObject
from recross.retrieval.matches import Matches, make_run
from recross.retrieval.retriever import Retriever
from recross.retrieval.sparse_index import SparseIndex
from recross.runs import Run
from recross.store import DEFAULT_STORE, Store


@contextmanager
def _without_jax() -> Iterator[None]:
    """Let no import find JAX: bm25s would try it out, and JAX takes most of a GPU's memory."""
    if "jax" in sys.modules:  # somebody else's already
        yield
        return
    sys.modules["jax"] = None  # type: ignore[assignment]  # what Python takes as not installed
    try:
        yield
    finally:
        del sys.modules["jax"]


with _without_jax():
    import bm25s

logger = logging.getLogger(__name__)
logging.getLogger("bm25s").setLevel(logging.WARNING)  # it sets itself to DEBUG


@dataclass(frozen=True)
@checked
class BM25(Retriever):
    """Lexical retrieval: Snowball stems, English stop words, scores of ``method``.

    The index lies memory-mapped in the store and is built once per collection. Documents that
    share no term with the query are not returned, so a ranking may be short.
    """

    k1: Annotated[float, Ge(0)] = 0.9
    b: Annotated[float, Ge(0), Le(1)] = 0.4
    method: Literal["lucene", "robertson", "atire", "bm25+", "bm25l"] = "lucene"
    stemmer: str = "english"
    stopwords: str = "en"
    store: Path = handed_over(DEFAULT_STORE)

    def __post_init__(self) -> None:
        if self.stemmer not in Stemmer.algorithms():
            raise InputError(say_unknown("stemmer", self.stemmer, Stemmer.algorithms()))
        try:
            bm25s.tokenize(["a"], stopwords=self.stopwords, return_ids=False, show_progress=False)
        except ValueError:
            raise InputError(
                "stopwords must be a language that bm25s has a list of, such as en, de or fr,"
                f" got {self.stopwords!r}"
            ) from None

    @property
    def candidates(self) -> str:
        """What a table calls its rankings."""
        return f"BM25 k1={self.k1} b={self.b}"

    def retrieve(self, collection: Collection, query_ids: Sequence[str], depth: int) -> Run:
        """Search the whole collection for each query.

        Raises:
            InputError: no document holds a word that is no stop word.
        """
        folder = self._index(collection)
        index, doc_ids = _load(folder)
        queries = self._tokenize([collection.queries[query_id] for query_id in query_ids])
        if empty := [q for q, terms in zip(query_ids, queries, strict=True) if not terms]:
            said = "%d of %d queries hold stop words alone, such as %r; BM25 ranks nothing for them"
            logger.warning(said, len(empty), len(query_ids), empty[0])
        matches = zip(query_ids, search_terms(index, queries, depth), strict=True)
        return make_run("bm25", doc_ids, matches, depth)

    def _index(self, collection: Collection) -> Path:
        def make(folder: Path) -> JsonObject:
            doc_ids, texts = zip(*collection.documents.items(), strict=True)
            index = bm25s.BM25(method=self.method, k1=self.k1, b=self.b)
            terms = self._tokenize(texts)
            if not any(terms):
                raise InputError(
                    "documents must hold words that are no stop words, got none in the"
                    f" {len(terms)} of {collection.name!r}"
                )
            index.index(terms, show_progress=False)
            index.save(str(folder), show_progress=False)
            (folder / "doc_ids.txt").write_text("\n".join(doc_ids), encoding="utf-8")
            return {"documents": len(doc_ids)}

        identity = {"retriever": self, "collection": collection.texts_fingerprint}
        return Store(self.store).artefact("bm25", identity, make)

    def _tokenize(self, texts: Sequence[str]) -> list[list[str]]:
        tokens: list[list[str]] = bm25s.tokenize(
            list(texts),
            stopwords=self.stopwords,
            stemmer=Stemmer.Stemmer(self.stemmer),
            return_ids=False,
            show_progress=False,
        )
        return tokens


def search_terms(
    index: bm25s.BM25, queries: Sequence[Sequence[str]], depth: int
) -> Iterator[Matches]:
    """Yield each query's best ``depth`` documents and those that tie with the last of them.

    A query is a list of terms; scores are those of ``bm25s.BM25.get_scores``, to the last bit,
    and all above zero.
    """
    terms = [index.get_tokens_ids(query) for query in queries]
    weights = _map_postings(index)
    without = index.nonoccurrence_array  # what BM25+ and BM25L give a document that lacks the term
    added = None if without is None else np.array([without[query].sum() for query in terms])
    return SparseIndex(weights).search(_count_terms(terms, weights), depth, added)


def _map_postings(index: bm25s.BM25) -> sparse.csr_array:
    """The weight of every term in every document, over the memory-mapped arrays themselves."""
    data, rows = index.scores["data"], index.scores["indices"]
    starts = index.scores["indptr"].astype(rows.dtype)
    shape = (len(starts) - 1, index.scores["num_docs"])
    return sparse.csr_array((data, rows, starts), shape=shape)


def _count_terms(queries: Sequence[Sequence[int]], weights: sparse.csr_array) -> sparse.csr_array:
    """Queries as rows; a term that is twice in a query stands twice, so that sums are bm25s'."""
    terms = np.fromiter(chain.from_iterable(queries), dtype=weights.indices.dtype)
    starts = np.cumsum([0, *map(len, queries)]).astype(weights.indices.dtype)
    ones = np.ones(len(terms), dtype=weights.dtype)
    return sparse.csr_array((ones, terms, starts), shape=(len(queries), weights.shape[0]))


@cache
def _load(folder: Path) -> tuple[bm25s.BM25, list[str]]:
    index = bm25s.BM25.load(str(folder), mmap=True)
    return index, (folder / "doc_ids.txt").read_text(encoding="utf-8").split("\n")
