"""Whether a difference is more than chance: paired tests, their correction, intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from recross.errors import InputError
from recross.seeding import make_generator

Test = Literal["randomisation", "t"]
TESTS: tuple[Test, ...] = get_args(Test)
PERMUTATIONS = 20_000
SAME = 1e-9
"""Two values of a query closer than this are a tie: measures differ by far more, rounding less."""


class Outcomes(NamedTuple):
    """In how many queries one run beats another, equals it, and loses to it."""

    wins: int
    ties: int
    losses: int


def pair_differences(
    system: Mapping[str, float], baseline: Mapping[str, float]
) -> npt.NDArray[np.float64]:
    """System minus baseline for every query that both have, in the order of their ids.

    Raises:
        InputError: they have no query in common.
    """
    queries = sorted(system.keys() & baseline.keys())
    if not queries:
        raise InputError("runs that are compared must have a query in common, got none")
    return np.array([system[query] - baseline[query] for query in queries])


def count_outcomes(differences: npt.NDArray[np.float64]) -> Outcomes:
    """Count wins, ties and losses."""
    wins, losses = int((differences > SAME).sum()), int((differences < -SAME).sum())
    return Outcomes(wins, len(differences) - wins - losses, losses)


def compute_p_value(
    system: Mapping[str, float], baseline: Mapping[str, float], test: Test = "randomisation"
) -> float:
    """Two-sided p-value of the mean per-query difference over the queries both have.

    ``randomisation`` flips the sign of each query's difference at random (Fisher's test, as
    Smucker et al. 2007 recommend for retrieval), with the +1 that keeps the estimate valid. ``t``
    is Student's paired test; of a single query it says nothing, so that its p-value is 1.

    Raises:
        InputError: they have no query in common.
    """
    differences = pair_differences(system, baseline)
    if np.abs(differences).max() <= SAME:
        return 1.0
    if test == "t":
        return _test_student(differences)
    return _test_randomisation(differences[differences != 0])


def _test_student(differences: npt.NDArray[np.float64]) -> float:
    from scipy import stats

    if len(differences) < 2:
        return 1.0
    if np.ptp(differences) <= SAME:  # no variance: scipy would divide by it
        return 0.0
    return float(stats.ttest_1samp(differences, 0.0).pvalue)


def _test_randomisation(differences: npt.NDArray[np.float64]) -> float:
    rng = make_generator(0, "randomisation")
    observed = abs(differences.sum())
    extreme = 0
    for _ in range(PERMUTATIONS // 1000):
        signs = rng.integers(0, 2, (1000, len(differences)), dtype=np.int8) * 2 - 1
        extreme += int((np.abs(signs @ differences) >= observed - 1e-12).sum())
    return (extreme + 1) / (PERMUTATIONS + 1)


def adjust_p_values(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for their number (Holm 1979); the order of the input is kept."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def bootstrap_interval(
    values: Sequence[float], confidence: float = 0.95, samples: int = 2000
) -> tuple[float, float]:
    """Percentile interval of the mean under resampling of the queries."""
    rng = make_generator(0, "bootstrap")
    sample = np.asarray(values, dtype=np.float64)
    means = sample[rng.integers(0, len(sample), (samples, len(sample)))].mean(axis=1)
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(low), float(high)
