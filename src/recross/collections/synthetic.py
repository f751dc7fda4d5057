"""Synthetic collections of any size, for tests of scale: texts, queries and judgments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from recross.collections.collection import Collection
from recross.collections.stored_documents import StoredDocuments
from recross.collections.synthetic_texts import (
    TEXTS_PER_BLOCK,
    SyntheticTexts,
    is_content_word,
)
from recross.errors import InputError
from recross.parts.bounds import Filled, Ge, Le, Seed, checked
from recross.parts.identity import fingerprint, handed_over
from recross.records import JsonObject, Qrels
from recross.seeding import make_generator
from recross.store import DEFAULT_STORE, Store

QUERY_WORDS = (2, 7)
"""How many words a query has: at least, and fewer than."""

VERSION = 1
"""To be counted up when the same settings begin to give other texts."""


@dataclass(frozen=True)
@checked
class Synthetic:
    """``size`` documents of made-up words, streamed to the store, and queries on some of them.

    Lengths are log-normal with ``words`` on average; words follow the law of Zipf and Mandelbrot
    over a ``vocabulary`` of so many; a third of a document's words are those of one of ``topics``.
    A query is a few words of one document, its only relevant one; ``queries`` says how many each
    split has. All follows from ``seed``: a smaller collection is the beginning of a larger one.
    """

    size: Annotated[int, Ge(10)] = 10_000
    queries: Annotated[dict[str, Annotated[int, Ge(1)]], Filled("name at least one split")] = field(
        default_factory=lambda: {"train": 1000, "dev": 100, "test": 1000}
    )
    words: Annotated[int, Ge(5), Le(500)] = 56
    vocabulary: Annotated[int, Ge(1000)] = 2_000_000
    topics: Annotated[int, Ge(1)] = 2000
    seed: Seed = 0
    name: str = field(default="synthetic", compare=False)
    store: Path = handed_over(DEFAULT_STORE)

    def __post_init__(self) -> None:
        if sum(self.queries.values()) > self.size:
            raise InputError(
                f"queries must be at most as many as documents, size={self.size},"
                f" got {sum(self.queries.values())}"
            )

    def list_splits(self) -> list[str]:
        """The splits that queries are asked for."""
        return list(self.queries)

    def load(self) -> Collection:
        """Write the documents once, and make the queries; an interrupted writing goes on."""
        texts = SyntheticTexts(self.words, self.vocabulary, self.topics, self.seed)
        identity = {
            **{"words": self.words, "vocabulary": self.vocabulary, "topics": self.topics},
            **{"seed": self.seed, "size": self.size, "version": VERSION},
        }

        def make(folder: Path) -> JsonObject:
            return StoredDocuments.write(folder, lambda start: self._read(texts, start), self.size)

        folder = Store(self.store).artefact("documents", identity, make, resumable=True)
        documents = StoredDocuments.open(folder)
        split_qrels = self._choose_documents(documents)
        judged = [pair for qrels in split_qrels.values() for pair in qrels.items()]
        return Collection(
            name=self.name,
            documents=documents,
            queries={q: self._ask(q, documents[doc_id]) for q, (doc_id,) in judged},
            split_queries={split: tuple(qrels) for split, qrels in split_qrels.items()},
            split_qrels=split_qrels,
            fingerprint=fingerprint(self, VERSION),
        )

    def _read(self, texts: SyntheticTexts, start: int) -> Iterator[tuple[str, str]]:
        """Documents from a number on."""
        block, skipped = divmod(start, TEXTS_PER_BLOCK)
        number = start
        while number < self.size:
            for text in texts.make(block)[skipped : skipped + self.size - number]:
                yield f"d{number}", text
                number += 1
            block, skipped = block + 1, 0

    def _choose_documents(self, documents: StoredDocuments) -> Mapping[str, Qrels]:
        """Judgments by split: every query on a document of its own."""
        drawn = make_generator(self.seed, "synthetic queries")
        total = sum(self.queries.values())
        chosen = iter(drawn.choice(len(documents), total, replace=False).tolist())
        return {
            split: {f"{split}{n}": {documents.ids[next(chosen)]: 1} for n in range(count)}
            for split, count in self.queries.items()
        }

    def _ask(self, query_id: str, text: str) -> str:
        """Some of a document's words that are no function words, where it has any."""
        drawn = make_generator(self.seed, "synthetic query", query_id)
        words = dict.fromkeys(text.replace(".", "").split())
        content = [word for word in words if is_content_word(word)] or list(words)
        count = min(int(drawn.integers(*QUERY_WORDS)), len(content))
        return " ".join(drawn.choice(content, count, replace=False).tolist())
