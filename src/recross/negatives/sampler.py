"""What a negative-sampling strategy is: it mines once, and draws as often as asked."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from numpy.random import Generator

from recross.collections.collection import Collection
from recross.negatives.pool import CandidatePool
from recross.negatives.workers import Workers
from recross.records import JsonObject
from recross.retrieval.retriever import WantedRanking
from recross.store import Store


class Mined(Protocol):
    """Candidates that may be drawn for the queries of a split."""

    @property
    def counts(self) -> JsonObject:
        """How many candidates there were, and how many were dropped for which reason."""

    def draw(self, query_id: str, positive: str, size: int, rng: Generator) -> list[str]:
        """Draw at most ``size`` distinct documents to learn from beside ``positive``.

        Chance comes from ``rng`` alone. No document is relevant to the query or a copy of one
        that is; fewer come where fewer were mined.
        """

    def first_stage_scores(self, query_id: str, doc_ids: Sequence[str]) -> tuple[float, ...] | None:
        """The source's scores of positives and drawn documents; ``None``: no single source."""


class MinedRanking(Mined, Protocol):
    """What was mined from one ranking."""

    @property
    def pool(self) -> CandidatePool:
        """What may be drawn, as the ranking orders it."""


class MiningWindow(Protocol):
    """A strategy that mines from one ranking."""

    def find_wanted(self, collection: Collection, split: str) -> WantedRanking:
        """The ranking that it mines from for the queries of a split."""

    def is_mined(self, collection: Collection, split: str, store: Store) -> bool:
        """Whether the store has what is mined for the queries of a split."""

    def take_part(self, collection: Collection, split: str, store: Store, workers: Workers) -> None:
        """Do beside others what their mining asks of its workers once the ranking is found."""

    def mine(
        self, collection: Collection, split: str, store: Store, workers: Workers
    ) -> MinedRanking:
        """Mine for the queries of a split; ``workers`` find and judge the ranking."""


class NegativeSampler(ABC):
    """A strategy: which documents are mined, and how those of one group are drawn from them."""

    mines_once: ClassVar[bool] = True
    """Whether every step of a training learns from what was mined before the first one."""

    @abstractmethod
    def mine(self, collection: Collection, split: str, store: Store) -> Mined:
        """Mine for the queries of a split, or read what was mined before."""

    @property
    def windows(self) -> Mapping[str, MiningWindow]:
        """The rankings that it mines from, by name: none where it draws from all documents."""
        return {}

    @property
    def schedule(self) -> Mapping[str, TrainingStage]:
        """What the steps of a training learn from, by name and in order; shares add up to 1."""
        return {"all": TrainingStage(self)}


@dataclass(frozen=True)
class TrainingStage:
    """A strategy for a share of the steps.

    With ``refresh_every`` each group is a pool of ``pool`` times as many negatives as it will have:
    every ``refresh_every`` steps the network in training keeps those that it scores highest.
    """

    sampler: NegativeSampler
    share: float = 1.0
    refresh_every: int | None = None
    pool: int = 1
