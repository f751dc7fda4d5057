"""The rows that a reader chooses among: none is both faster and better than one of them."""

from __future__ import annotations

from collections.abc import Sequence

from recross.report.tables.rows import Row


def find_milliseconds(row: Row) -> float | None:
    """The p50 latency of 100 documents, or of the search where nothing is re-ranked."""
    return row.latency["p50"] if row.latency else row.first_stage_ms


def find_front(rows: Sequence[Row]) -> list[int]:
    """Which rows are on the Pareto front of latency and the first measure, the fastest first.

    Rows without either are not; of two that are equal in both, the first is.
    """
    timed = [
        (time, next(iter(row.measures.values())).mean, number)
        for number, row in enumerate(rows)
        if row.measures and (time := find_milliseconds(row))
    ]
    front = list_front([(time, quality) for time, quality, _ in timed])
    return [timed[place][2] for place in front]


def list_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Which of several (milliseconds, quality) are on the front, the fastest first."""
    front: list[int] = []
    best = float("-inf")
    for place, (_, quality) in sorted(
        enumerate(points), key=lambda numbered: (numbered[1][0], -numbered[1][1])
    ):
        if quality > best:
            front.append(place)
            best = quality
    return front
