"""How many tokens the next batch may hold: a number given, or the best that was tried."""

from __future__ import annotations

import logging
import sys
import threading

from recross.machine.hardware import Hardware

logger = logging.getLogger(__name__)

TRIES = 3
"""Batches of a size before it is judged by its best: the first one of a size warms it up."""

GAIN = 1.03
"""What twice the size must win to be worth its memory."""


class BatchSize:
    """Bounds the tokens of a batch: by what is given, and by what did not fit in memory."""

    def __init__(self, tokens: int) -> None:
        self.tokens = tokens
        self.too_many = sys.maxsize  # the smallest batch that did not fit

    def __call__(self) -> int:
        """Tokens that the next batch may hold."""
        return self.tokens

    def record(self, tokens: int, seconds: float) -> None:
        """Record how long a batch took."""

    def does_not_fit(self, tokens: int) -> None:
        """Record a batch that did not fit in memory; later ones of its size are halved."""
        self.too_many = min(self.too_many, tokens)


class ProbedBatchSize(BatchSize):
    """Doubles the size on the first batches of a run for as long as tokens per second grow.

    The batches of the probe are the run's own, so that nothing is computed twice.
    """

    def __init__(self, smallest: int, largest: int) -> None:
        super().__init__(smallest)
        self._largest = largest
        self._best, self._best_rate = smallest, 0.0
        self._rates: list[float] = []
        self._is_settled = False
        self._lock = threading.Lock()

    def record(self, tokens: int, seconds: float) -> None:
        """Record how long a batch took, and go on to the next size after ``TRIES`` full ones."""
        with self._lock:
            if self._is_settled or not self.tokens * 0.75 <= tokens <= self.tokens:
                return
            self._rates.append(tokens / seconds)
            if len(self._rates) == TRIES:
                self._judge(max(self._rates))

    def does_not_fit(self, tokens: int) -> None:
        """Stay with the best size that fits."""
        super().does_not_fit(tokens)
        with self._lock:
            self._settle()

    def _judge(self, rate: float) -> None:
        self._rates = []
        gains = rate > self._best_rate * GAIN
        if gains:
            self._best, self._best_rate = self.tokens, rate
        if gains and self.tokens * 2 <= self._largest:
            self.tokens *= 2
        else:
            self._settle()

    def _settle(self) -> None:
        if not self._is_settled:
            self._is_settled, self.tokens = True, self._best
            logger.info("tokens_per_batch=auto found %d tokens", self._best)


def batch_size(hardware: Hardware) -> BatchSize:
    """What the hardware target asks for.

    A GPU works beside the processor, so that no clock here tells one size from another: it gets
    one that keeps it busy, and less where that does not fit.
    """
    if hardware.tokens_per_batch == "auto" and hardware.accelerator == "cpu":
        return ProbedBatchSize(512, 16_384)
    return BatchSize(hardware.batch_tokens)
