"""Expected values of measures where tied documents stand in a random order, in closed form.

McSherry & Najork 2008, "Computing information retrieval performance measures efficiently in the
presence of tied scores". Every order within a tie is equally likely.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from recross.evaluation.measures import MeasureForm


class Tie(NamedTuple):
    """The worth of each document of one score, in any order, and how many stand above them all."""

    above: int
    worths: Sequence[float]

    @property
    def relevant(self) -> int:
        """How many are relevant, where worths are one and zero."""
        return int(sum(self.worths))

    def list_ranks(self, cutoff: int | None) -> range:
        """The ranks of the tie that lie within the cut-off."""
        end = self.above + len(self.worths)
        return range(self.above + 1, (end if cutoff is None else min(end, cutoff)) + 1)


class Tied(NamedTuple):
    """A ranking as its ties, the worth of every judged document, best first, and the cut-off."""

    ties: Sequence[Tie]
    ideal: Sequence[float]
    cutoff: int | None


Expectation = Callable[[Tied], float]


def find_expectation(form: MeasureForm) -> Expectation | None:
    """The closed form of a measure; ``None`` where there is none here."""
    return None if form.is_exponential else _EXPECTATIONS.get(form.family)


def _expect_precision(ranking: Tied) -> float:
    retrieved = sum(len(tie.worths) for tie in ranking.ties)
    return _expect_worth(ranking.ties, ranking.cutoff) / (ranking.cutoff or retrieved or 1)


def _expect_recall(ranking: Tied) -> float:
    return _expect_worth(ranking.ties, ranking.cutoff) / (sum(ranking.ideal) or 1)


def _expect_r_precision(ranking: Tied) -> float:
    relevant = int(sum(ranking.ideal))
    return _expect_worth(ranking.ties, relevant) / (relevant or 1)


def _expect_share_judged(ranking: Tied) -> float:
    seen = sum(len(tie.list_ranks(ranking.cutoff)) for tie in ranking.ties)
    return _expect_worth(ranking.ties, ranking.cutoff) / (seen or 1)


def _expect_success(ranking: Tied) -> float:
    return sum(chance for _, chance in _list_first_relevant(ranking))


def _expect_reciprocal_rank(ranking: Tied) -> float:
    return sum(chance / rank for rank, chance in _list_first_relevant(ranking))


def _expect_average_precision(ranking: Tied) -> float:
    """A relevant document at a rank of a tie has of the others there its share above it."""
    total, relevant_above = 0.0, 0
    for tie in ranking.ties:
        size = len(tie.worths)
        if tie.relevant:
            share = (tie.relevant - 1) / (size - 1) if size > 1 else 0.0
            total += sum(
                (relevant_above + 1 + (rank - tie.above - 1) * share) / rank
                for rank in tie.list_ranks(ranking.cutoff)
            ) * (tie.relevant / size)
        relevant_above += tie.relevant
    return total / (sum(ranking.ideal) or 1)


def _expect_ndcg(ranking: Tied) -> float:
    best = sum(
        _discount(gain, rank) for rank, gain in enumerate(ranking.ideal[: ranking.cutoff], 1)
    )
    found = sum(
        _discount(sum(tie.worths) / len(tie.worths), rank)
        for tie in ranking.ties
        for rank in tie.list_ranks(ranking.cutoff)
    )
    return found / best if best else 0.0


def _discount(gain: float, rank: int) -> float:
    return gain / math.log2(rank + 1)


def _expect_worth(ties: Sequence[Tie], cutoff: int | None) -> float:
    """The worth that stands within the cut-off: of a tie, the share that lies within."""
    filled = [tie for tie in ties if tie.worths]
    return sum(sum(tie.worths) * len(tie.list_ranks(cutoff)) / len(tie.worths) for tie in filled)


def _list_first_relevant(ranking: Tied) -> Iterator[tuple[int, float]]:
    """Ranks at which the first relevant document may stand, and how likely each is.

    Ranks are drawn without replacement from the first tie that holds a relevant document.
    """
    first = next((tie for tie in ranking.ties if tie.relevant), Tie(0, ()))
    missed, left = 1.0, len(first.worths)
    for rank in first.list_ranks(ranking.cutoff):
        yield rank, missed * first.relevant / left
        missed *= (left - first.relevant) / left
        left -= 1


_EXPECTATIONS: Mapping[str, Expectation] = {
    "P": _expect_precision,
    "R": _expect_recall,
    "Rprec": _expect_r_precision,
    "Judged": _expect_share_judged,
    "Success": _expect_success,
    "RR": _expect_reciprocal_rank,
    "AP": _expect_average_precision,
    "nDCG": _expect_ndcg,
}
