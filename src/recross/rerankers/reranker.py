"""What a second stage is."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from recross.collection import Collection
from recross.runs import Run


@runtime_checkable
class Reranker(Protocol):
    """Anything that reorders candidates: a network, a cascade, a baseline."""

    def rerank(self, candidates: Run, collection: Collection) -> Run:
        """Return the same documents for every query, in a new order."""
