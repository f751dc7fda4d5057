"""Whether two lists of scores of the same pairs are those of one model, in whatever form each is.

A probability is the sigmoid of a logit (of two logits it is the softmax: the sigmoid of their
difference), and a log-probability its logarithm. Two lists agree if, as logits, they are equal but
for rounding, or one is the other times a positive number plus another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.stats import kendalltau

from recross.errors import InputError

_Values = npt.NDArray[np.float64]

FEWEST_PAIRS = 5
"""A scale and a shift fit any two pairs; fewer than five say nothing of a third number."""
SAME_PROBABILITY = 1e-3
"""How near probabilities must be that are rounded to 0 or 1, so that their logits are unknown."""


class Scale(NamedTuple):
    """What a score is on: how it becomes a logit and back, and how that is written."""

    name: str
    to_logit: Callable[[_Values], _Values]
    from_logit: Callable[[_Values], _Values]
    logit_of: str
    of_logit: str


SCALES = (
    Scale("logit", lambda x: x, lambda x: x, "{}", "{}"),
    Scale(
        "probability",
        lambda p: np.log(p) - np.log1p(-p),
        lambda x: np.exp(-np.logaddexp(0, -x)),
        "logit({})",
        "sigmoid({})",
    ),
    Scale(
        "log-probability",
        lambda p: p - np.log(-np.expm1(p)),
        lambda x: -np.logaddexp(0, -x),
        "logit(exp({}))",
        "log(sigmoid({}))",
    ),
)
SHORTER = {"sigmoid(logit({}))": "{}", "log(sigmoid(logit(exp({}))))": "{}"}
SHORTER |= {"log(sigmoid(logit({})))": "log({})", "sigmoid(logit(exp({})))": "exp({})"}


@dataclass(frozen=True)
class Agreement:
    """How near other scores come to ours.

    ``formula`` computes theirs from ours, where one of the known forms does; ``error`` is how far
    it is off at most, as a share of the range of the logits.
    """

    tau: float
    largest_difference: float
    formula: str | None
    error: float | None

    @property
    def agrees(self) -> bool:
        """Whether both order pairs alike, because theirs are ours in another form."""
        return self.formula is not None


class _Fit(NamedTuple):
    formula: str
    error: float


def compare_scores(ours: npt.ArrayLike, theirs: npt.ArrayLike, tolerance: float) -> Agreement:
    """Compare scores of the same pairs, ``(B,)`` each.

    ``tolerance`` is how far theirs may be off, as a share of the range of our logits.

    Raises:
        InputError: there are fewer than five pairs, or all of our scores are equal.
    """
    x, y = np.asarray(ours, dtype=np.float64), np.asarray(theirs, dtype=np.float64)
    if len(x) < FEWEST_PAIRS:
        raise InputError(f"pairs must be at least {FEWEST_PAIRS}, got {len(x)}")
    if np.ptp(x) == 0:
        raise InputError(f"pairs must have different scores, got {x[0]:.4f} for all")
    fits = (fit for fit in _list_fits(x, y) if fit.error <= tolerance)
    best = next(fits, None)
    return Agreement(
        tau=0.0 if np.ptp(y) == 0 else float(kendalltau(x, y).statistic),
        largest_difference=float(np.abs(x - y).max()),
        formula=best.formula if best else None,
        error=best.error if best else None,
    )


def _list_fits(ours: _Values, theirs: _Values) -> Iterator[_Fit]:
    """Every formula and its error, the simpler first: without a scale and a shift, then with."""
    for scaled in (False, True):
        for mine, other in product(SCALES, SCALES):
            with np.errstate(all="ignore"):  # what is none of a scale has no logit there
                x, y = mine.to_logit(ours), other.to_logit(theirs)
            known = np.isfinite(x) & np.isfinite(y)
            may_be = _lies_on(mine, ours) and _lies_on(other, theirs)
            if may_be and known.sum() >= FEWEST_PAIRS and np.ptp(x[known]) > 0:
                slope, shift = np.polyfit(x[known], y[known], 1) if scaled else (1.0, 0.0)
                fitted = slope * x + shift
                if slope > 0 and _rounds_alike(other.from_logit(fitted[~known]), theirs[~known]):
                    off = np.abs(fitted - y)[known].max() / (slope * np.ptp(x[known]))
                    yield _Fit(_write(mine, other, slope, shift), float(off))


def _lies_on(scale: Scale, scores: _Values) -> bool:
    if scale.name == "probability":
        return bool(scores.min() >= 0 and scores.max() <= 1)
    return scale.name == "logit" or bool(scores.max() <= 0)


def _rounds_alike(fitted: _Values, scores: _Values) -> bool:
    return bool(np.all(np.abs(fitted - scores) <= SAME_PROBABILITY))


def _write(mine: Scale, other: Scale, slope: float, shift: float) -> str:
    factor = "" if round(slope, 4) == 1 else f"{slope:.4g} * "
    summand = "" if round(shift, 4) == 0 else f" {'+' if shift > 0 else '-'} {abs(shift):.4g}"
    form = other.of_logit.format(f"{factor}{mine.logit_of}{summand}")
    return SHORTER.get(form, form).format("ours")
