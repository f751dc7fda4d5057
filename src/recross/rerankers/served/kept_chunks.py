"""Which documents are still to be asked for, and what is kept of the others."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from recross.inference.cache.kept_scores import KeptScores
from recross.inference.items import Items, Scores
from recross.inference.texts.texts import TextItem
from recross.parts.identity import fingerprint
from recross.rerankers.served.dialects import Asked


class Chunk(NamedTuple):
    """Documents of one query that one request is about."""

    query_id: str
    doc_ids: tuple[str, ...]


class KeptChunks:
    """Scores of one scorer in the cache, read by query, and written as answers come.

    Where documents are read ``together``, a score is kept as that of a document in its chunk, and a
    chunk is asked for whole.
    """

    def __init__(self, kept: KeptScores, scorer: str, size: int, together: bool) -> None:
        self._kept, self._scorer, self._size, self._together = kept, scorer, size, together
        self.is_on = kept.is_on
        """Whether scores are read and written; threads do not know whether caches are off."""
        self.damaged = 0
        """Scores that were read in vain, since their pages are damaged."""
        self._writing = threading.Lock()

    def read(
        self, query_id: str, query: str, documents: Mapping[str, str]
    ) -> tuple[dict[str, float], list[Chunk]]:
        """The scores of a query's documents that are kept, by id, and chunks of the others."""
        chunks = self._split(list(documents))
        items = [
            item
            for chunk in chunks
            for item in self._lay_out(Asked(query, tuple(documents[doc] for doc in chunk)))
        ]
        scores, _, damaged = self._kept.read(Items.of(items))
        self.damaged += damaged
        known = {
            doc: score
            for doc, score in zip(documents, scores.tolist(), strict=True)
            if not np.isnan(score)
        }
        if self._together:
            unknown = [chunk for chunk in chunks if not known.keys() >= set(chunk)]
            for chunk in unknown:
                known = {doc: score for doc, score in known.items() if doc not in chunk}
        else:
            unknown = self._split([doc for doc in documents if doc not in known])
        return known, [Chunk(query_id, tuple(chunk)) for chunk in unknown]

    def add(self, asked: Asked, scores: Scores) -> None:
        """Keep what was answered, from any thread."""
        if self.is_on:
            keys = Items.of(list(self._lay_out(asked))).keys(self._scorer)
            with self._writing:
                self._kept.add(keys, scores)

    def _split(self, doc_ids: Sequence[str]) -> list[Sequence[str]]:
        starts = range(0, len(doc_ids), self._size)
        return [doc_ids[start : start + self._size] for start in starts]

    def _lay_out(self, asked: Asked) -> Iterator[TextItem]:
        """What the scores of a chunk are filed under."""
        company = (fingerprint(list(asked.documents)),) if self._together else ()
        for document in asked.documents:
            yield (asked.query, document, *company)
