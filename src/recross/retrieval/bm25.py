"""BM25 (Robertson et al. 1994) in the variant of Lucene; the only home of bm25s.

bm25s splits texts into terms and weighs them. Posting lists lie on disk in parts, whose search is
the product of a sparse index.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
import Stemmer

from recross.artefacts.opening import open_once
from recross.collections.collection import Collection
from recross.collections.document_spans import DocumentSpans
from recross.errors import InputError
from recross.parts.bounds import Ge, Le, checked
from recross.parts.closest import say_unknown
from recross.parts.identity import handed_over
from recross.records import JsonObject
from recross.retrieval import posting_counts
from recross.retrieval.matches import make_run
from recross.retrieval.posting_counts import CountedParts, Counts, NumberedTerms, count_terms
from recross.retrieval.posting_parts import TermStatistics, WeighPostings, join_counts
from recross.retrieval.posting_search import PostingIndex
from recross.retrieval.retriever import Retriever
from recross.runs import Run
from recross.sharing.document_parts import DocumentParts
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
    from bm25s import scoring

logger = logging.getLogger(__name__)
logging.getLogger("bm25s").setLevel(logging.WARNING)  # it sets itself to DEBUG

_DELTA = 0.5
"""What BM25+ and BM25L add to a term's share, as bm25s does by default."""


@dataclass(frozen=True)
@checked
class BM25(Retriever):
    """Lexical retrieval: Snowball stems, English stop words, scores of ``method``.

    The index lies memory-mapped in the store and is built once per collection, in parts, of which
    an interruption loses the one that it was at. Documents that share no term with the query
    are not returned, so a ranking may be short.
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
        index = open_once(PostingIndex.open, self._index_folder(collection))
        queries = self._split_queries([collection.queries[query_id] for query_id in query_ids])
        if empty := [q for q, terms in zip(query_ids, queries, strict=True) if not terms]:
            said = "%d of %d queries hold stop words alone, such as %r; BM25 ranks nothing for them"
            logger.warning(said, len(empty), len(query_ids), empty[0])
        matches = zip(query_ids, index.search(queries, depth), strict=True)
        return make_run("bm25", index.doc_ids, matches, depth)

    def document_parts(self, collection: Collection) -> list[DocumentParts]:
        """The terms of the documents, counted; one part alone is counted sooner than shared."""
        parts = self._parts_of(collection)
        return [parts] if len(parts) > 1 else []

    def _index_folder(self, collection: Collection) -> Path:
        def make(folder: Path) -> JsonObject:
            return join_counts(folder, parts, partial(self._weigh, collection))

        parts = self._parts_of(collection)
        return parts.join(make)

    def _parts_of(self, collection: Collection) -> DocumentParts:
        spans = DocumentSpans(collection.documents)

        def make(span: range, folder: Path) -> JsonObject:
            return count_terms(folder, spans.read(span), self.split)

        identity = {
            "retriever": self,
            "collection": collection.texts_fingerprint,
            "storage": "counted parts",
        }
        sizes = (len(collection.documents), posting_counts.DOCUMENTS_PER_COUNT)
        return CountedParts(Store(self.store), "bm25", identity, *sizes, make)

    def split(self, texts: Sequence[str]) -> NumberedTerms:
        """The terms of texts: stems of words that are no stop words."""
        split: bm25s.tokenization.Tokenized = bm25s.tokenize(
            list(texts),
            stopwords=self.stopwords,
            stemmer=Stemmer.Stemmer(self.stemmer),
            show_progress=False,
        )
        return NumberedTerms(split.ids, split.vocab)

    def _split_queries(self, texts: Sequence[str]) -> list[list[str]]:
        split = self.split(texts)
        terms = {number: term for term, number in split.numbers.items()}
        return [[terms[number] for number in text] for text in split.texts]

    def _weigh(self, collection: Collection, statistics: TermStatistics) -> WeighPostings:
        if not len(statistics.frequencies):
            raise InputError(
                "documents must hold words that are no stop words, got none in the"
                f" {statistics.documents} of {collection.name!r}"
            )
        return choose_bm25_weights(self.method, self.k1, self.b, statistics)


def choose_bm25_weights(
    method: str, k1: float, b: float, statistics: TermStatistics
) -> WeighPostings:
    """How a variant weighs terms: the functions of bm25s, for many postings at a time."""
    of_counts, of_term = scoring._select_tfc_scorer(method), scoring._select_idf_scorer(method)
    documents, mean = statistics.documents, statistics.mean_length
    settings = {"l_avg": mean, "k1": k1, "b": b, "delta": _DELTA}
    frequencies = dict(enumerate(statistics.frequencies.tolist()))
    rarity = scoring._build_idf_array(frequencies, documents, of_term)
    absent = None
    if method in ("bm25+", "bm25l"):
        absent = scoring._build_nonoccurrence_array(
            frequencies, documents, of_term, of_counts, l_d=mean, **settings
        )

    def weigh(terms: Counts, counts: Counts, lengths: Counts) -> npt.NDArray[np.float32]:
        shares = of_counts(tf_array=counts.astype(np.float32), l_d=lengths, **settings)
        weights = rarity[terms] * shares
        if absent is not None:
            weights = weights - absent[terms]
        weighed: npt.NDArray[np.float32] = weights.astype(np.float32)
        return weighed

    return WeighPostings(weigh, absent)
