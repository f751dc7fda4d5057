"""What is scored: a query with its documents, as numbers of texts, in portions for the network."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from recross.errors import InputError
from recross.inference.cache.score_keys import Keys
from recross.inference.spans import Ints
from recross.inference.texts.texts import GivenTexts, NumberedTexts, TextItem
from recross.records import Cost

if TYPE_CHECKING:
    from recross.inference.batches import NetworkBatch
    from recross.inference.sequences import Encoded

Scores = npt.NDArray[np.float32]
"""One score per item, ``(B,)``, in single precision."""


@dataclass(frozen=True)
class Items:
    """Items as numbers of a query and of the document or documents read with it, ``(B, texts)``.

    Texts that are equal have one number, so that items with equal numbers are equal, and no others.
    """

    queries: NumberedTexts
    documents: NumberedTexts
    numbers: Ints

    @classmethod
    def of(cls, items: Sequence[TextItem]) -> Items:
        """Items of texts: ``(q, a), (r, a), (q, b)`` become ``(0, 0), (1, 0), (0, 1)``.

        Raises:
            InputError: an item holds no document, or one more than another.
        """
        sizes = sorted(set(map(len, items))) or [2]
        if len(sizes) > 1 or sizes[0] < 2:
            held = " or ".join(map(str, sizes))
            raise InputError(
                f"items must be one query with equally many documents each, got {held} texts"
            )
        queries = _number(query for query, *_ in items)
        documents = _number(text for _, *texts in items for text in texts)
        numbered = [
            (queries[query], *(documents[text] for text in texts)) for query, *texts in items
        ]
        numbers = np.array(numbered, dtype=np.int64).reshape(len(items), sizes[0])
        return cls(GivenTexts(list(queries)), GivenTexts(list(documents)), numbers)

    def take(self, which: Ints | slice) -> Items:
        """These items, in this order, of the same texts."""
        return Items(self.queries, self.documents, self.numbers[which])

    def with_their_texts(self) -> Items:
        """The same items of no other texts than their own."""
        shape = self.numbers[:, 1:].shape
        queries, query_numbers = np.unique(self.numbers[:, 0], return_inverse=True)
        documents, numbers = np.unique(self.numbers[:, 1:], return_inverse=True)
        return Items(
            self.queries.take(queries),
            self.documents.take(documents),
            np.column_stack([query_numbers, numbers.reshape(shape)]).astype(np.int64),
        )

    def find_distinct(self) -> tuple[Ints, Ints]:
        """Places of the distinct items, ``(D,)``, and which of them each item is, ``(B,)``.

        Of the items ``a, b, a, c`` they are ``0, 1, 3`` and ``0, 1, 0, 2``.
        """
        one_number = np.zeros(len(self), dtype=np.int64)
        for column in self.numbers.T:
            _, within = np.unique(column, return_inverse=True)
            _, one_number = np.unique(one_number * len(self) + within, return_inverse=True)
        _, firsts, which = np.unique(one_number, return_index=True, return_inverse=True)
        order = np.argsort(firsts)
        return firsts[order], np.argsort(order)[which]

    def texts(self, number: int) -> TextItem:
        """The texts of one item, the query's first."""
        query, *documents = self.numbers[number].tolist()
        read = self.documents.take(np.array(documents, dtype=np.int64)).strings()
        return (*self.queries.take(np.array([query])).strings(), *read)

    def keys(self, scorer: str) -> Keys:
        """What the items' scores are filed under, of a scorer of this name."""
        return Keys.of(scorer, self.queries.digests(), self.documents.digests(), self.numbers)

    def __len__(self) -> int:
        return len(self.numbers)


@dataclass(frozen=True)
class Portion:
    """Items that are sorted together, ready for the network.

    For the items ``(q, a), (q, b), (q, a)``, of which ``(q, a)`` has the score 2 already:
    ``distinct`` are ``(q, a), (q, b)``, the items are ``0, 1, 0`` of them, ``scores`` are ``2,
    NaN``, ``unknown`` is ``1``, and the network gets ``(q, b)`` alone.
    """

    distinct: Items
    which: Ints  # (B,) the distinct item that each item is
    scores: Scores  # (D,) of the distinct items, NaN where the network is asked
    unknown: Ints  # (U,) numbers of the distinct items that the network is asked
    keys: Keys | None  # of the distinct items, where scores are kept
    encoded: Encoded[NetworkBatch]  # the distinct ones
    asked: Encoded[NetworkBatch]  # the unknown ones
    tokenize_seconds: float
    damaged: int = 0  # unknown items whose page in the cache is damaged

    def fill(self, rows: Ints, scores: Scores) -> None:
        """Take the scores of the unknown items with these numbers.

        Raises:
            FloatingPointError: a score is not finite.
        """
        self._refuse_nan(rows, scores)
        self.scores[self.unknown[rows]] = scores

    def keys_of(self, rows: Ints) -> Keys | None:
        """What the scores of the unknown items with these numbers are filed under."""
        return None if self.keys is None else self.keys.take(self.unknown[rows])

    def scores_in_order(self) -> Scores:
        """The score of every item, ``(B,)``, once all are filled in."""
        in_order: Scores = self.scores[self.which]
        return in_order

    def cost(self, batches: int, seconds: float, cache_is_on: bool) -> Cost:
        """Return what scoring these items cost."""
        from recross.inference.sequences import count_cuts

        computed, tokens = len(self.unknown), int(self.asked.lengths.sum())
        return count_cuts(self.encoded.lost) + Cost(
            pairs=len(self.which),
            tokens=tokens,
            kept_tokens=int(self.encoded.lengths.sum()) - tokens,
            forward_passes=computed,
            batches=batches,
            tokenize_seconds=self.tokenize_seconds,
            forward_seconds=seconds,
            cache_hits=len(self.distinct) - computed if cache_is_on else 0,
            cache_misses=computed if cache_is_on else 0,
            cache_damaged=self.damaged,
        )

    def _refuse_nan(self, rows: Ints, scores: Scores) -> None:
        bad = np.flatnonzero(~np.isfinite(scores))
        if len(bad):
            query, *documents = self.distinct.texts(self.unknown[rows[bad[0]]])
            read = " and ".join(f"the document {text[:80]!r}" for text in documents)
            raise FloatingPointError(
                f"score must be finite, got {scores[bad[0]]} for the query {query[:80]!r}"
                f" and {read} ({len(bad)} such pairs)"
            )


def _number(texts: Iterable[str]) -> dict[str, int]:
    return {text: number for number, text in enumerate(dict.fromkeys(texts))}
