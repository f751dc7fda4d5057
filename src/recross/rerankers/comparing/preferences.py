"""From preferences between two documents to one score for each.

The network gives the margin ``m(i, j)`` = logit(true) - logit(false) of an ordered pair, document i
read first, so that ``p(i, j) = sigmoid(m)`` is its probability that i is the more relevant and
``1 - p(i, j) = sigmoid(-m)``. From margins both logarithms are exact and finite; from rounded
probabilities they are not.

========================= ======================================================= ===============
name                      score of document i                                     paper
========================= ======================================================= ===============
``sum``                   sum over j of p(i, j)                                   duoBERT, duoT5
``log_sum``               sum over j of log p(i, j)                               duoT5
``sym_sum``               sum over j of p(i, j) + 1 - p(j, i)                     duoT5
``sym_log_sum``           sum over j of log p(i, j) + log(1 - p(j, i))            duoT5
``binary``                number of j with p(i, j) > 1/2; a tie counts one half   duoBERT
``min``, ``max``          least, greatest p(i, j)                                 duoBERT
========================= ======================================================= ===============

duoBERT: Nogueira et al. 2019, arXiv 1910.14424; duoT5: Pradeep et al. 2021, arXiv 2101.05667, whose
published command uses ``sym_sum``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from recross.errors import InputError

Pairs = npt.NDArray[np.int64]
"""Ordered pairs of positions, ``(M, 2)``; the document in the first column is read first."""

Margins = npt.NDArray[np.floating]
"""Of ordered pairs, ``(M,)``: positive where the first document is preferred."""

DocumentScores = npt.NDArray[np.float64]
"""One per document, ``(N,)``, higher is more relevant."""

Preference = Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]
"""What a margin is worth to the document it favours; elementwise."""


class Aggregation(Protocol):
    """Turns compared pairs into scores."""

    def __call__(self, count: int, pairs: Pairs, margins: Margins) -> DocumentScores:
        """Score ``count`` documents, some of whose ordered pairs were compared."""


def compute_probability(margins: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Turn margins into probabilities by the sigmoid."""
    return np.exp(log_probability(margins))


def log_probability(margins: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The logarithm of the sigmoid of margins, finite for every finite margin."""
    return -np.logaddexp(0.0, -margins)


def win(margins: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """1 for a positive margin, 0 for a negative one.

    A margin of 0 is half a win, where the paper gives none: low precision makes such ties common,
    and neither document should lose by them.
    """
    return np.heaviside(margins, 0.5)


@dataclass(frozen=True)
class ScaledSum:
    """Mean preference for a document over its comparisons, times those that all pairs would give.

    With all pairs this is the sum itself. Without ``symmetric`` a comparison counts for the
    document read first; with it also, negated, for the other, which cancels a network's bias
    towards a place. A document with no comparison that counts scores as if the network were
    undecided, with a margin of 0, about every opponent.
    """

    preference: Preference
    symmetric: bool = False

    def __call__(self, count: int, pairs: Pairs, margins: Margins) -> DocumentScores:
        """Score ``count`` documents from the margins of their pairs, ``(N,)``."""
        _check(count, pairs, margins)
        documents, favour = pairs[:, 0], np.asarray(margins, dtype=np.float64)
        if self.symmetric:
            documents, favour = pairs.T.ravel(), np.concatenate([favour, -favour])
        totals = np.bincount(documents, self.preference(favour), minlength=count)
        compared = np.bincount(documents, minlength=count)
        wanted = (count - 1) * (1 + self.symmetric)
        undecided = wanted * self.preference(np.zeros(count))
        return np.where(compared > 0, totals * (wanted / np.maximum(compared, 1)), undecided)


@dataclass(frozen=True)
class Extreme:
    """The least or the greatest p(i, j) over the opponents that i was compared with, read first.

    ``pick`` is ``np.fmin`` or ``np.fmax``. A document that was never read first gets 1/2.
    """

    pick: np.ufunc

    def __call__(self, count: int, pairs: Pairs, margins: Margins) -> DocumentScores:
        """Score ``count`` documents from the margins of their pairs, ``(N,)``."""
        _check(count, pairs, margins)
        scores = np.full(count, np.nan)  # fmin and fmax pass over NaN
        self.pick.at(
            scores, pairs[:, 0], compute_probability(np.asarray(margins, dtype=np.float64))
        )
        return np.where(np.isnan(scores), 0.5, scores)


AggregationName = Literal["sum", "log_sum", "sym_sum", "sym_log_sum", "binary", "min", "max"]

AGGREGATIONS: Mapping[AggregationName, Aggregation] = MappingProxyType(
    {
        "sum": ScaledSum(compute_probability),
        "log_sum": ScaledSum(log_probability),
        "sym_sum": ScaledSum(compute_probability, symmetric=True),
        "sym_log_sum": ScaledSum(log_probability, symmetric=True),
        "binary": ScaledSum(win),
        "min": Extreme(np.fmin),
        "max": Extreme(np.fmax),
    }
)


def _check(count: int, pairs: Pairs, margins: Margins) -> None:
    if pairs.shape != (len(margins), 2):
        raise InputError(f"pairs must be {(len(margins), 2)}, one per margin, got {pairs.shape}")
    beyond = pairs[(pairs < 0) | (pairs >= count)]
    if beyond.size:
        raise InputError(f"pairs must hold positions in [0, {count}), got {beyond[0]}")
    alone = pairs[pairs[:, 0] == pairs[:, 1]]
    if alone.size:
        raise InputError(f"pairs must hold two documents, got {alone[0, 0]} against itself")
    odd = margins[~np.isfinite(margins)]
    if odd.size:
        raise InputError(f"margins must be finite, got {odd[0]}")
