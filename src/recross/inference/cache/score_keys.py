"""What a score is filed under: the content of the texts, never their ids."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter

import numpy as np
import numpy.typing as npt
from xxhash import xxh3_128_digest

from recross.errors import InputError
from recross.inference.items import TextItem

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
    def of(cls, scorer: str, items: Sequence[TextItem]) -> Keys:
        """Digest the texts of the items.

        Raises:
            InputError: an item holds no document.
        """
        sizes = set(map(len, items))
        if sizes and min(sizes) < 2:
            raise InputError(f"an item must hold a query and a document, got {min(sizes)} text(s)")
        scorer_digest = digest(scorer)
        queries = list(map(itemgetter(0), items))
        numbers = {query: number for number, query in enumerate(dict.fromkeys(queries))}
        return cls(
            scorer=scorer_digest,
            pages=[scorer_digest + digest(query) for query in numbers],
            page_of=np.fromiter(map(numbers.__getitem__, queries), np.int64, len(items)),
            entries=np.frombuffer(_documents(items, sizes == {2}), "<u8").reshape(-1, 2),
        )

    def search_numbers(
        self, page_of: npt.NDArray[np.int64], high: npt.NDArray[np.uint64]
    ) -> npt.NDArray[np.uint64]:
        """One number for a page and half a digest, to search by; equal numbers need a look."""
        # The other half of the query's digest: where queries are documents too, (a, b) and (b, a)
        # would fall together.
        salts = np.frombuffer(b"".join(self.pages), "<u8").reshape(len(self.pages), -1)[:, -1]
        return salts[page_of] + high


def digest(text: str) -> bytes:
    """Hash a text to sixteen bytes; lone surrogates are texts too."""
    return xxh3_128_digest(text.encode("utf-8", "surrogatepass"))


def _documents(items: Sequence[TextItem], only_pairs: bool) -> bytes:
    if only_pairs:
        documents = list(map(itemgetter(1), items))
        digests = _digest_texts(documents)
        return b"".join(map(digests.__getitem__, documents))
    digests = _digest_texts(chain.from_iterable(item[1:] for item in items))
    return b"".join([_combined([digests[text] for text in item[1:]]) for item in items])


def _digest_texts(texts: Iterable[str]) -> dict[str, bytes]:
    return {text: digest(text) for text in dict.fromkeys(texts)}


def _combined(digests: list[bytes]) -> bytes:
    """A single digest as it is; several as one, with a seed that no text is hashed with."""
    if len(digests) == 1:
        return digests[0]
    return xxh3_128_digest(b"".join(digests), seed=len(digests))
