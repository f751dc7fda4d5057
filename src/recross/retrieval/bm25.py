"""BM25 (Robertson et al. 1994) in the variant of Lucene; the only home of bm25s."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import bm25s
import Stemmer

from recross.collection import Collection
from recross.errors import InputError
from recross.runs import Run
from recross.store import DEFAULT_STORE, Store

logging.getLogger("bm25s").setLevel(logging.WARNING)  # it sets itself to DEBUG


@dataclass(frozen=True)
class BM25:
    """Lexical retrieval: Snowball stems, English stop words, scores of ``method``.

    The index lies memory-mapped in the store and is built once per collection. Documents that
    share no term with the query are not returned, so a ranking may be short.
    """

    k1: float = 0.9
    b: float = 0.4
    method: str = "lucene"
    stemmer: str = "english"
    stopwords: str = "en"
    store: Path = field(default=DEFAULT_STORE, compare=False)

    def __post_init__(self) -> None:
        if self.k1 < 0:
            raise InputError(f"k1 must not be negative, got {self.k1}")
        if not 0 <= self.b <= 1:
            raise InputError(f"b must lie in [0, 1], got {self.b}")
        if self.stemmer not in Stemmer.algorithms():
            raise InputError(
                f"stemmer must be one of {', '.join(Stemmer.algorithms())}, got {self.stemmer!r}"
            )
        methods = ("lucene", "robertson", "atire", "bm25+", "bm25l")
        if self.method not in methods:
            raise InputError(f"method must be one of {', '.join(methods)}, got {self.method!r}")

    def retrieve(self, collection: Collection, query_ids: Sequence[str], depth: int) -> Run:
        """Search the whole collection for each query."""
        folder = self._index(collection)
        index, doc_ids = _load(folder)
        queries = self._tokenize([collection.queries[query_id] for query_id in query_ids])
        found, scores = index.retrieve(
            queries, k=min(depth, len(doc_ids)), show_progress=False, leave_progress=False
        )
        ranked = {
            query_id: {
                doc_ids[number]: float(score)
                for number, score in zip(found[row], scores[row], strict=True)
                if score > 0
            }
            for row, query_id in enumerate(query_ids)
        }
        return Run.from_scores("bm25", ranked)

    def _index(self, collection: Collection) -> Path:
        def make(folder: Path) -> Mapping[str, Any]:
            doc_ids, texts = zip(*collection.documents.items(), strict=True)
            index = bm25s.BM25(method=self.method, k1=self.k1, b=self.b)
            index.index(self._tokenize(texts), show_progress=False)
            index.save(str(folder), show_progress=False)
            (folder / "doc_ids.txt").write_text("\n".join(doc_ids), encoding="utf-8")
            return {"documents": len(doc_ids)}

        identity = {"retriever": self, "collection": collection.fingerprint}
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


@cache
def _load(folder: Path) -> tuple[Any, list[str]]:
    index = bm25s.BM25.load(str(folder), mmap=True)
    return index, (folder / "doc_ids.txt").read_text(encoding="utf-8").split("\n")
