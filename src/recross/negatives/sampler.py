"""What a negative-sampling strategy is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from numpy.random import Generator

from recross.records import ScoredDoc
from recross.retrieval.retriever import Retriever


@runtime_checkable
class NegativeSampler(Protocol):
    """A small rule over candidates, and the retriever whose candidates it looks at."""

    @property
    def source(self) -> Retriever:
        """Where candidates come from; it ranks for the training queries."""

    @property
    def depth(self) -> int:
        """How many candidates of each query it wants to see."""

    def sample(
        self,
        candidates: Sequence[ScoredDoc],
        relevant: frozenset[str],
        size: int,
        rng: Generator,
    ) -> list[str]:
        """Draw at most ``size`` distinct documents, none of them in ``relevant``."""
