"""What others say of the rows of a table."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from recross.report.references import LATENCY, SIZE, ReferenceValue, read_values


@dataclass(frozen=True)
class Reference:
    """What others say of a row: the user's own table, and published values with their source.

    ``candidates`` is the set that the published value is over.
    """

    label: str
    given: float | None
    given_latency_ms: float | None
    given_size_mb: float | None
    published: float | None
    source: str
    candidates: str = ""

    @classmethod
    def of(cls, label: str, values: Sequence[ReferenceValue]) -> Reference:
        """The values of one row, the first measure of each kind."""

        def given(measure: str) -> float | None:
            return next((v.value for v in given_values if v.measure == measure), None)

        given_values = [value for value in values if value.kind == "given"]
        published = [value for value in values if value.kind == "published"]
        measures = [value.value for value in given_values if value.measure not in (LATENCY, SIZE)]
        return cls(
            label=label,
            given=measures[0] if measures else None,
            given_latency_ms=given(LATENCY),
            given_size_mb=given(SIZE),
            published=published[0].value if published else None,
            source="; ".join(dict.fromkeys(v.source for v in published if v.source)),
            candidates=published[0].candidates if published else "",
        )


def read_references(paths: Iterable[Path], studies: Collection[str]) -> dict[str, Reference]:
    """What these studies' tables show of others by label: given and published values.

    Raises:
        InputError: a file is missing or wrong.
    """
    by_label: dict[str, list[ReferenceValue]] = {}
    for value in read_values(paths, studies):
        if value.kind != "measured":
            by_label.setdefault(value.label, []).append(value)
    return {label: Reference.of(label, values) for label, values in by_label.items()}
