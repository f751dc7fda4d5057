"""What a negative-sampling strategy is: it mines once, and draws as often as asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from numpy.random import Generator

from recross.collections.collection import Collection
from recross.store import Store


class Mined(Protocol):
    """Candidates that may be drawn for the queries of a split."""

    @property
    def counts(self) -> Mapping[str, Any]:
        """How many candidates there were, and how many were dropped for which reason."""

    def draw(self, query_id: str, positive: str, size: int, rng: Generator) -> list[str]:
        """Draw at most ``size`` distinct documents to learn from beside ``positive``.

        Chance comes from ``rng`` alone. No document is relevant to the query or a copy of one
        that is; fewer come where fewer were mined.
        """

    def first_stage_scores(self, query_id: str, doc_ids: Sequence[str]) -> tuple[float, ...] | None:
        """The source's scores of positives and drawn documents; ``None``: no single source."""


@runtime_checkable
class NegativeSampler(Protocol):
    """A strategy: which documents are mined, and how those of one group are drawn from them."""

    def mine(self, collection: Collection, split: str, store: Store) -> Mined:
        """Mine for the queries of a split, or read what was mined before."""
