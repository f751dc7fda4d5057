"""Which of two kernels a processor computes with: ours, unless a probe finds torch's faster.

Both give the same numbers up to the last digits. So that these do not change from run to run on a
noisy machine, ours is left only for a clear gain, found twice; ``RECROSS_KERNELS`` decides without
a probe.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import NamedTuple

from recross.errors import InputError

VARIABLE = "RECROSS_KERNELS"
"""Environment variable: ``own`` or ``torch`` for all kernels; unset, a probe decides each."""

CLEAR_GAIN = 1.10
"""How many times as fast torch's kernel must be to be taken."""

ROUNDS = 7

_Work = Callable[[], object]


class KernelChoice(NamedTuple):
    """What was decided, and how many times as fast as ours torch's kernel was, if measured."""

    is_own: bool
    gain: float | None

    def __str__(self) -> str:
        name = "ours" if self.is_own else "torch's"
        if self.gain is None:
            return f"{name} ({VARIABLE}={'own' if self.is_own else 'torch'})"
        return f"{name} (measured: torch's takes {1 / self.gain:.2f} of its time)"


def choose(own: _Work, torchs: _Work) -> KernelChoice:
    """Decide between two kernels that compute the same.

    Raises:
        InputError: the environment names no kernel that there is.
    """
    match os.environ.get(VARIABLE, ""):
        case "":
            gain = measure_gain(own, torchs)
            if gain > CLEAR_GAIN:  # once may be chance
                gain = min(gain, measure_gain(own, torchs))
            return KernelChoice(gain <= CLEAR_GAIN, gain)
        case "own" | "torch" as named:
            return KernelChoice(named == "own", None)
        case other:
            raise InputError(f"{VARIABLE} must be own or torch, got {other!r}")


def name_kernels() -> str:
    """The kernels of processes whose scores must not differ: ours, or what the environment says."""
    return os.environ.get(VARIABLE) or "own"


def measure_gain(own: _Work, torchs: _Work) -> float:
    """The best time of ours through the best of torch's, of rounds in which they alternate."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS + 1):
        for work, found in zip((own, torchs), times, strict=True):
            found.append(take_time(work))
    ours, theirs = (min(found[1:]) for found in times)  # the first round warms both
    return ours / theirs


def take_time(work: _Work) -> float:
    """Seconds of one piece of work."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
