"""What is scored: a query with its documents as texts, prepared in portions for the network."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recross.inference.batches import NetworkBatch
from recross.inference.sequences import Encoded, Ints, count_cuts
from recross.inference.tokens import Item
from recross.records import Cost

TextItem = tuple[str, ...]
"""A query and the document or documents that are scored with it, in the order they are read."""

Scores = npt.NDArray[np.float32]
"""One score per item, ``(B,)``, in single precision."""


@dataclass(frozen=True)
class Portion:
    """Items that are sorted together, ready for the network.

    For the items ``(q, a), (q, b), (q, a)``, of which ``(q, a)`` has the score 2 already:
    ``distinct`` are ``(q, a), (q, b)``, ``scores`` are ``2, NaN``, ``unknown`` is ``1``, and the
    network gets ``(q, b)`` alone.
    """

    items: Sequence[TextItem]
    distinct: Sequence[TextItem]
    scores: Scores  # (D,) of the distinct items, NaN where the network is asked
    unknown: Ints  # (U,) numbers of the distinct items that the network is asked
    encoded: Encoded[NetworkBatch]  # the unknown ones
    tokenize_seconds: float

    def unknown_items(self, rows: Ints) -> list[TextItem]:
        """The items with these numbers among the unknown ones."""
        return [self.distinct[number] for number in self.unknown[rows]]

    def fill(self, rows: Ints, scores: Scores) -> None:
        """Take the scores of the unknown items with these numbers."""
        self.scores[self.unknown[rows]] = scores

    def scores_in_order(self) -> Scores:
        """The score of every item, ``(B,)``, once all are filled in."""
        number_of = {item: number for number, item in enumerate(self.distinct)}
        in_order: Scores = self.scores[[number_of[item] for item in self.items]]
        return in_order

    def cost(self, batches: int, seconds: float, cache_is_on: bool) -> Cost:
        """Return what scoring these items cost."""
        computed = len(self.unknown)
        return count_cuts(self.encoded.lost) + Cost(
            pairs=len(self.items),
            tokens=int(self.encoded.lengths.sum()),
            forward_passes=computed,
            batches=batches,
            tokenize_seconds=self.tokenize_seconds,
            forward_seconds=seconds,
            cache_hits=len(self.distinct) - computed if cache_is_on else 0,
            cache_misses=computed if cache_is_on else 0,
        )


def number_texts(items: Sequence[TextItem]) -> tuple[list[str], list[str], list[Item]]:
    """Distinct queries, distinct documents, and each item as numbers of them.

    ``(q, a), (r, a), (q, b)`` become ``[q, r]``, ``[a, b]`` and ``(0, 0), (1, 0), (0, 1)``.
    """
    queries = _number(query for query, *_ in items)
    documents = _number(text for _, *texts in items for text in texts)
    numbered = [(queries[query], *(documents[text] for text in texts)) for query, *texts in items]
    return list(queries), list(documents), numbered


def _number(texts: Iterable[str]) -> dict[str, int]:
    return {text: number for number, text in enumerate(dict.fromkeys(texts))}
