"""Negatives by rank."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from numpy.random import Generator

from recross.collections.collection import Collection
from recross.negatives.filters import Filter
from recross.negatives.mining import Window
from recross.negatives.pool import Pool
from recross.retrieval.retriever import Retriever
from recross.store import Store


@dataclass(frozen=True)
class RankWindow:
    """Negatives drawn uniformly from ranks ``skip + 1 … depth`` of ``source``'s candidates.

    With BM25 as source these are the field's classic hard negatives, with the bi-encoder the
    errors of the first stage itself (localized contrastive estimation, Gao et al. 2021). Skipping
    the first few ranks avoids most unjudged relevant documents, ``filters`` those that give
    themselves away by their score; they are applied in the order given.
    """

    source: Retriever
    depth: int = 100
    skip: int = 0
    filters: Mapping[str, Filter] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._window  # noqa: B018  (its rules)

    @property
    def _window(self) -> Window:
        return Window(self.source, self.depth, self.skip, self.filters)

    def mine(self, collection: Collection, split: str, store: Store) -> FromPool:
        """Mine the window."""
        return FromPool(self._window.mine(collection, split, store), uniform)


@dataclass(frozen=True)
class TopK:
    """The hardest negatives: the best-ranked of the window, the same for every seed.

    Among these lie most of the unjudged relevant documents (Qu et al. 2021), so that a margin or a
    teacher belongs with them.
    """

    source: Retriever
    depth: int = 100
    skip: int = 0
    filters: Mapping[str, Filter] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._window  # noqa: B018  (its rules)

    @property
    def _window(self) -> Window:
        return Window(self.source, self.depth, self.skip, self.filters)

    def mine(self, collection: Collection, split: str, store: Store) -> FromPool:
        """Mine the window; it is the same artefact as that of a rank window."""
        return FromPool(self._window.mine(collection, split, store), hardest_first)


Choice = Callable[[Sequence[str], int, Generator], list[str]]
"""Choose at most so many of the documents that are allowed, which come best first."""


@dataclass(frozen=True)
class FromPool:
    """A pool, and how documents are chosen from it."""

    pool: Pool
    choose: Choice

    @property
    def counts(self) -> Mapping[str, Any]:
        """Those of the pool."""
        return self.pool.counts

    def draw(self, query_id: str, positive: str, size: int, rng: Generator) -> list[str]:
        """Choose from what may stand beside the positive."""
        return self.choose(self.pool.allowed(query_id, positive), size, rng)

    def first_stage_scores(self, query_id: str, doc_ids: Sequence[str]) -> tuple[float, ...]:
        """Those of the pool's source."""
        return self.pool.first_stage_scores(query_id, doc_ids)


def uniform(allowed: Sequence[str], size: int, rng: Generator) -> list[str]:
    """Draw without replacement, every document equally likely."""
    return [allowed[index] for index in rng.permutation(len(allowed))[:size]]


def hardest_first(allowed: Sequence[str], size: int, _: Generator) -> list[str]:
    """Take the best-ranked ones; chance has no part in it."""
    return list(allowed[:size])
