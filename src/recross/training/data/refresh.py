"""Which negatives of a pool a step learns from: those the network then scores highest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from recross.records import TrainingGroup


class Refresh(NamedTuple):
    """Every ``every`` steps, keep the ``keep`` negatives that score highest."""

    every: int
    keep: int

    def find_hardest(self, scores: Sequence[float]) -> list[int]:
        """Places of the highest scores, highest first; of equal ones the first places."""
        return sorted(range(len(scores)), key=lambda place: -scores[place])[: self.keep]

    def divide(self, steps: range) -> Iterator[range]:
        """Steps that learn from one choice: 4 to 9 with ``every=4`` are 4 to 7, then 8 and 9."""
        for first in range(steps.start, steps.stop, self.every):
            yield range(first, min(first + self.every, steps.stop))


def keep_negatives(group: TrainingGroup, places: Sequence[int]) -> TrainingGroup:
    """Return a group of its positive, which comes first, and the negatives at some places.

    Place 0 is the first document after the positive.
    """
    chosen = (0, *(place + 1 for place in places))

    def choose(values: tuple[float, ...] | None) -> tuple[float, ...] | None:
        return None if values is None else tuple(values[n] for n in chosen)

    return TrainingGroup(
        group.query_id,
        tuple(group.doc_ids[n] for n in chosen),
        tuple(group.labels[n] for n in chosen),
        choose(group.teacher_scores),
        choose(group.first_stage_scores),
    )
