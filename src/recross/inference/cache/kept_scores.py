"""One scorer's part of the score cache, as the engine uses it."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from recross.inference.cache.score_cache import ScoreCache
from recross.inference.items import Scores, TextItem

SECONDS_BETWEEN_WRITES = 5.0
"""What an interruption loses at most."""


class KeptScores:
    """The scores of one scorer: read, and written every few seconds; without a cache, none."""

    def __init__(self, cache: ScoreCache | None, scorer: str) -> None:
        self._cache = cache
        self._scorer = scorer
        self._waiting: list[tuple[Sequence[TextItem], Scores]] = []
        self._written = time.perf_counter()

    @property
    def is_on(self) -> bool:
        """Whether scores are read and written now."""
        return self._cache is not None and self._cache.is_on

    def read(self, items: Sequence[TextItem]) -> Scores:
        """Scores that were kept, ``(B,)``; NaN where there is none."""
        if self._cache is None:
            return np.full(len(items), np.nan, dtype=np.float32)
        return self._cache.read(self._scorer, items)

    def add(self, items: Sequence[TextItem], scores: Scores) -> None:
        """Take scores to be kept, and write what has waited long enough."""
        if self._cache is None:
            return
        self._waiting.append((items, scores))
        if time.perf_counter() - self._written > SECONDS_BETWEEN_WRITES:
            self.write()

    def write(self) -> None:
        """Write what waits; on return it outlasts the process."""
        if self._cache is not None and self._waiting:
            items = [item for batch, _ in self._waiting for item in batch]
            scores = np.concatenate([scores for _, scores in self._waiting])
            self._cache.write(self._scorer, items, scores)
        self._waiting, self._written = [], time.perf_counter()
