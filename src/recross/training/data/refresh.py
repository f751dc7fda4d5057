"""Which negatives of a pool a step learns from: those the network then scores highest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from recross.records import TrainingGroup


class Refresh(NamedTuple):
    """Every ``every`` steps, keep the ``keep`` negatives that score highest."""

    every: int
    keep: int

    def hardest(self, scores: Sequence[float]) -> list[int]:
        """Places of the highest scores, highest first; of equal ones the first places."""
        return sorted(range(len(scores)), key=lambda place: -scores[place])[: self.keep]


def kept(group: TrainingGroup, places: Sequence[int]) -> TrainingGroup:
    """A group of its positive, which comes first, and the documents at some places after it."""
    chosen = (0, *(place + 1 for place in places))

    def of(values: tuple[float, ...] | None) -> tuple[float, ...] | None:
        return None if values is None else tuple(values[n] for n in chosen)

    return TrainingGroup(
        group.query_id,
        tuple(group.doc_ids[n] for n in chosen),
        tuple(group.labels[n] for n in chosen),
        of(group.teacher_scores),
        of(group.first_stage_scores),
    )
