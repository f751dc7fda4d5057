"""One scorer's part of the score cache, as the engine uses it."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

from recross.inference.cache.score_cache import ScoreCache
from recross.inference.cache.score_keys import Keys
from recross.inference.items import Items, Scores

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_WRITES = 5.0
"""What an interruption loses at most."""


class Found(NamedTuple):
    """Scores that were kept, ``(B,)``, NaN where there is none, and what they are filed under.

    ``damaged`` of those that are missing lay on a damaged page, if they were ever kept.
    """

    scores: Scores
    keys: Keys | None
    damaged: int = 0


class KeptScores:
    """The scores of one scorer: read, and written every few seconds; without a cache, none."""

    def __init__(self, cache: ScoreCache | None, scorer: str) -> None:
        self._cache = cache
        self._scorer = scorer
        self._waiting: list[tuple[Keys, Scores]] = []
        self._written = time.perf_counter()

    @property
    def is_on(self) -> bool:
        """Whether scores are read and written now."""
        return self._cache is not None and self._cache.is_on

    def read(self, items: Items) -> Found:
        """Find what was kept of items; without a cache their texts are not looked at."""
        if self._cache is None or not self.is_on:
            return Found(np.full(len(items), np.nan, dtype=np.float32), None)
        keys = items.keys(self._scorer)
        scores, damaged = self._cache.look_up(keys)
        return Found(scores, keys, int(damaged.sum()))

    def say_damaged(self, count: int) -> None:
        """Say that scores were computed again for the damage of their pages, if any were."""
        if self._cache is not None and count:
            logger.warning(
                "score cache %s: pages of %d scores are damaged; computed again",
                *(self._cache.path, count),
            )

    def add(self, keys: Keys | None, scores: Scores) -> None:
        """Take scores to be kept, and write what has waited long enough."""
        if keys is None:
            return
        self._waiting.append((keys, scores))
        if time.perf_counter() - self._written > SECONDS_BETWEEN_WRITES:
            self.write()

    @contextmanager
    def writing_at_last(self) -> Iterator[None]:
        """Write what waits when the block ends, however it ends."""
        try:
            yield
        finally:
            self.write()

    def write(self) -> None:
        """Write what waits; on return it outlasts the process."""
        if self._cache is not None and self._waiting:
            keys = Keys.end_to_end([keys for keys, _ in self._waiting])
            scores = np.concatenate([scores for _, scores in self._waiting])
            self._cache.file(self._scorer, keys, scores)
        self._waiting, self._written = [], time.perf_counter()
