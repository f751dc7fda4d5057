"""A measure over queries and seeds."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from recross.records import JsonObject


@dataclass(frozen=True)
class Value:
    """A measure over the queries: its mean, 95 % interval, and spread over seeds.

    ``ties`` are the least and the greatest mean over the orders that tied scores allow.
    """

    mean: float
    low: float
    high: float
    sd: float | None
    ties: tuple[float, float] | None = None

    @property
    def is_moved_by_ties(self) -> bool:
        """Whether the order of ties changes one of the four digits that tables show."""
        return self.ties is not None and round(self.ties[0], 4) < round(self.ties[1], 4)


def make_value(name: str, judged: Sequence[JsonObject]) -> Value:
    """The measure of a name in records of several seeds."""
    means = [record["measures"][name] for record in judged]
    lows, highs = zip(*(record["intervals"][name] for record in judged), strict=True)
    return Value(
        statistics.mean(means),
        statistics.mean(lows),
        statistics.mean(highs),
        statistics.stdev(means) if len(means) > 1 else None,
        _average_ties([record.get("ties", {}).get(name) for record in judged]),
    )


def _average_ties(ranges: Sequence[JsonObject | None]) -> tuple[float, float] | None:
    """Over seeds; ``None`` where a record says nothing of ties."""
    known = [values for values in ranges if values]
    if len(known) < len(ranges):
        return None
    least, greatest = (
        statistics.mean(values[name] for values in known) for name in ("least", "greatest")
    )
    return least, greatest
