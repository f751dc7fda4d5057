"""What a score is filed under: the content of the texts, never their ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
import numpy.typing as npt
from xxhash import xxh3_128_digest

from recross.errors import InputError
from recross.inference.texts.digests import Digests, digest, digest_texts
from recross.inference.texts.texts import TextItem

DIGEST_BYTES = 16


@dataclass(frozen=True)
class Keys:
    """Where the scores of ``B`` items lie: one page per scorer and query, one entry per item.

    Every text is hashed once with xxh3_128. An entry is its document's digest; several documents
    (duo) are told by the digest of theirs in order. Two texts share a digest with a probability of
    2 ** -128: a billion different texts collide once in about 10 ** 20 caches.
    """

    scorer: bytes
    pages: list[bytes]
    """Page keys, the scorer's digest and the query's, without repetition."""
    page_of: npt.NDArray[np.int64]
    """Which page each item belongs to, ``(B,)``."""
    entries: npt.NDArray[np.uint64]
    """The digest of each item's documents in two halves, ``(B, 2)``."""

    @classmethod
    def of_texts(cls, scorer: str, items: Sequence[TextItem]) -> Keys:
        """File items under their texts; one may hold more documents than another.

        Raises:
            InputError: an item holds no document.
        """
        fewest = min(map(len, items), default=2)
        if fewest < 2:
            raise InputError(f"an item must hold a query and a document, got {fewest} text(s)")
        texts = list(dict.fromkeys(chain.from_iterable(items)))
        number = {text: place for place, text in enumerate(texts)}
        digests = digest_texts(texts)
        entries = np.empty((len(items), 2), dtype=np.uint64)
        numbered = [[number[text] for text in item] for item in items]
        for size in set(map(len, numbered)):
            places = [place for place, item in enumerate(numbered) if len(item) == size]
            rows = np.array([numbered[place][1:] for place in places], dtype=np.int64)
            entries[places] = _combine(digests[rows])
        queries = np.array([[item[0]] for item in numbered], dtype=np.int64).reshape(-1, 1)
        filed = cls.of(scorer, digests, digests, np.repeat(queries, 2, axis=1))
        return replace(filed, entries=entries)

    @classmethod
    def of(
        cls, scorer: str, queries: Digests, documents: Digests, numbers: npt.NDArray[np.int64]
    ) -> Keys:
        """File items under their texts' digests.

        ``numbers`` ``(B, texts)`` say which of the queries and of the documents an item is made of.
        """
        scorer_digest, query_of = digest(scorer), numbers[:, 0]
        found, page_of = np.unique(query_of, return_inverse=True)
        return cls(
            scorer=scorer_digest,
            pages=[scorer_digest + query.tobytes() for query in queries[found]],
            page_of=page_of.astype(np.int64),
            entries=_combine(documents[numbers[:, 1:]]),
        )

    def take(self, which: npt.NDArray[np.int64]) -> Keys:
        """Those of these items, in this order."""
        found, page_of = np.unique(self.page_of[which], return_inverse=True)
        pages = [self.pages[number] for number in found.tolist()]
        return Keys(self.scorer, pages, page_of.astype(np.int64), self.entries[which])

    @classmethod
    def end_to_end(cls, parts: Sequence[Keys]) -> Keys:
        """Those of the items of all parts, one part after the other, of one scorer."""
        pages = list(dict.fromkeys(page for part in parts for page in part.pages))
        number = {page: place for place, page in enumerate(pages)}
        page_of = [
            np.array([number[page] for page in part.pages], dtype=np.int64)[part.page_of]
            for part in parts
        ]
        entries = np.concatenate([part.entries for part in parts])
        return cls(parts[0].scorer, pages, np.concatenate(page_of), entries)

    def __len__(self) -> int:
        return len(self.page_of)

    def search_numbers(
        self, page_of: npt.NDArray[np.int64], high: npt.NDArray[np.uint64]
    ) -> npt.NDArray[np.uint64]:
        """One number for a page and half a digest, to search by; equal numbers need a look."""
        # The other half of the query's digest: where queries are documents too, (a, b) and (b, a)
        # would fall together.
        salts = np.frombuffer(b"".join(self.pages), "<u8").reshape(len(self.pages), -1)[:, -1]
        return salts[page_of] + high


def _combine(digests: Digests) -> Digests:
    """The digest of each row's documents, ``(B, 2)``: a single one as it is.

    That of several is hashed with a seed that no text is hashed with.
    """
    count = digests.shape[1]
    if count == 1:
        return digests[:, 0]
    rows = np.ascontiguousarray(digests).reshape(len(digests), -1)
    hashed = b"".join(xxh3_128_digest(row.tobytes(), seed=count) for row in rows)
    return np.frombuffer(hashed, "<u8").reshape(-1, 2)
