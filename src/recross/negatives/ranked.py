"""Negatives by rank: a window of a source's ranking, without what is, or seems to be, relevant."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from numpy.random import Generator

from recross.collections.collection import Collection
from recross.errors import InputError
from recross.evaluation.accounts import describe_truncation
from recross.negatives.filters import Filter
from recross.negatives.mining import GUARDS, Sieve, find_known_positives
from recross.negatives.pool import CandidatePool
from recross.negatives.sampler import MiningWindow, NegativeSampler
from recross.negatives.workers import Workers
from recross.parts.bounds import Below, Ge, checked
from recross.records import Cost, JsonObject
from recross.retrieval.retriever import Retriever, WantedRanking, retrieve_once
from recross.runs import Run
from recross.store import Store

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
@checked
class RankWindow(NegativeSampler):
    """Negatives from ranks ``skip + 1 … depth`` of ``source``'s candidates.

    With BM25 as source these are the field's classic hard negatives, with the bi-encoder the
    errors of the first stage itself (localized contrastive estimation, Gao et al. 2021). Skipping
    the first few ranks avoids most unjudged relevant documents, ``filters`` those that give
    themselves away by their score; they are applied in the order given.

    ``choose`` says which documents of the window a group gets. ``uniform``: any, each equally
    likely. ``best_ranked``: the hardest, the same for every seed; most of the unjudged relevant
    documents lie among them (Qu et al. 2021), so that a margin or a teacher belongs with it.
    """

    source: Retriever
    depth: Annotated[int, Ge(1)] = 100
    skip: Annotated[int, Ge(0), Below("depth")] = 0
    filters: Mapping[str, Filter] = field(default_factory=dict)
    choose: Literal["uniform", "best_ranked"] = "uniform"
    order: tuple[str, ...] = field(init=False, repr=False)
    """Names of the filters: part of what a window is, whereas a mapping's order is not."""

    def __post_init__(self) -> None:
        if taken := sorted(self.filters.keys() & set(GUARDS)):
            raise InputError(f"filters must not be named {' or '.join(GUARDS)}, got {taken[0]!r}")
        object.__setattr__(self, "order", tuple(self.filters))

    @property
    def windows(self) -> Mapping[str, MiningWindow]:
        """The one that it is."""
        return {"ranking": self}

    def find_wanted(self, collection: Collection, split: str) -> WantedRanking:
        """The source's best documents of every query with a known positive."""
        query_ids = list(find_known_positives(collection, split))
        return WantedRanking(self.source, query_ids, self.depth)

    def is_mined(self, collection: Collection, split: str, store: Store) -> bool:
        """Whether a pool of the same window is there, whichever way is chosen from it."""
        return store.find("negatives", self._identify(collection, split)) is not None

    def take_part(self, collection: Collection, split: str, store: Store, workers: Workers) -> None:
        """Filter beside others, who keep what is left; without filters there is nothing to do."""
        if self.filters:
            self._find_pool(collection, split, store, workers)

    def mine(
        self, collection: Collection, split: str, store: Store, workers: Workers = Workers()
    ) -> FromPool:
        """Mine for the queries of a split with a known positive, or read what was mined before.

        ``workers`` find the source's best documents, and judge them where filters ask for it.
        """
        make = partial(self._mine, collection, split, store, workers)
        folder = store.artefact("negatives", self._identify(collection, split), make)
        return FromPool(CandidatePool.read(folder), CHOICES[self.choose])

    def _identify(self, collection: Collection, split: str) -> JsonObject:
        return {
            "collection": collection.fingerprint,
            "split": split,
            "relevant_from": collection.relevant_grade(split),
            "window": replace(self, choose="uniform"),  # whichever way is chosen from it later
        }

    def _mine(
        self, collection: Collection, split: str, store: Store, workers: Workers, folder: Path
    ) -> JsonObject:
        pool, cuts = self._find_pool(collection, split, store, workers)
        pool.write(folder)
        logger.info("negatives of %d %s queries: %s", pool.counts["queries"], split, pool.account)
        return {"counts": {**pool.counts, "truncation": describe_truncation(cuts)}}

    def _find_pool(
        self, collection: Collection, split: str, store: Store, workers: Workers
    ) -> tuple[CandidatePool, Cost]:
        """What is left of the source's ranking, and what was cut of texts to find that."""
        positives = find_known_positives(collection, split)
        candidates = Run("empty", {})
        if positives:
            wanted = self.find_wanted(collection, split)
            asked = (wanted.query_ids, wanted.depth, store, workers.search)
            candidates = retrieve_once(wanted.retriever, collection, *asked)
        sieve = Sieve(candidates, positives, self.skip)
        sieve.drop_known(collection, split)
        for name, rule in self.filters.items():
            sieve.drop(name, rule, collection, workers.judge)
        return sieve.pool(), candidates.cost


Choice = Callable[[Sequence[str], int, Generator], list[str]]
"""Choose at most this many of the allowed documents, which come best first."""


@dataclass(frozen=True)
class FromPool:
    """A pool, and how documents are chosen from it."""

    pool: CandidatePool
    choose: Choice

    @property
    def counts(self) -> JsonObject:
        """What the pool counts: candidates, and those dropped by reason."""
        return self.pool.counts

    def draw(self, query_id: str, positive: str, size: int, rng: Generator) -> list[str]:
        """Choose from what may stand beside the positive."""
        return self.choose(self.pool.list_allowed(query_id, positive), size, rng)

    def first_stage_scores(self, query_id: str, doc_ids: Sequence[str]) -> tuple[float, ...]:
        """The scores that the pool's source gave to positives and allowed documents."""
        return self.pool.first_stage_scores(query_id, doc_ids)


def choose_uniformly(allowed: Sequence[str], size: int, rng: Generator) -> list[str]:
    """Draw without replacement, every document equally likely."""
    return [allowed[index] for index in rng.permutation(len(allowed))[:size]]


def choose_best_ranked(allowed: Sequence[str], size: int, _: Generator) -> list[str]:
    """Take the best-ranked ones; chance has no part in it."""
    return list(allowed[:size])


CHOICES: Mapping[str, Choice] = {"uniform": choose_uniformly, "best_ranked": choose_best_ranked}
