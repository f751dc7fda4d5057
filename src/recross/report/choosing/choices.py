"""Measured choices as rows, those that no other beats, and the one that is advised."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from recross.errors import InputError
from recross.records import JsonObject
from recross.report.tables.columns import format_number
from recross.report.tables.front import list_front

CERTAIN = 0.05


@dataclass(frozen=True)
class ChoiceRow:
    """A re-ranker on a hardware target at one depth; the candidates as they are: at depth 0.

    ``is_on_front``: no other row is better without being slower, by the first measure and by the
    time in which 95 of 100 queries are done.
    """

    name: str
    depth: int
    form: str
    measure: str
    measures: dict[str, float]
    interval: tuple[float, float]
    milliseconds: dict[str, float]
    words: tuple[str, ...] = ()
    p_value: float | None = None
    pairs_per_second: float | None = None
    queries_per_second: float | None = None
    load_seconds: float | None = None
    peak_memory_mb: float | None = None
    peak_gpu_memory_mb: float | None = None
    size_mb: float | None = None
    is_on_front: bool = False

    @property
    def quality(self) -> float:
        """The mean of the measure that decides."""
        return self.measures[self.measure]

    @property
    def p95_ms(self) -> float:
        """The milliseconds in which 95 of 100 queries are done."""
        return self.milliseconds["p95_ms"]


@dataclass(frozen=True)
class ChoiceStudy:
    """Choices that were measured over the same candidates, the fastest first."""

    rows: tuple[ChoiceRow, ...]
    within_ms: float | None
    candidates: str
    collection: str
    queries: int
    machine: str

    @property
    def advised(self) -> ChoiceRow:
        """The best of those within the time, the faster of equal ones."""
        limit = self.within_ms
        allowed = [row for row in self.rows if limit is None or row.p95_ms <= limit]
        return max(allowed, key=lambda row: (row.quality, -row.p95_ms))

    @property
    def advice(self) -> str:
        """One sentence that says what to use, and what it brings."""
        best, alone = self.advised, self.rows[0]
        within = (
            f"Within {self.within_ms:g} ms" if self.within_ms is not None else "Without a limit"
        )
        if not best.depth:
            return (
                f"{within} nothing that was measured is better than the candidates as they are"
                f" ({best.measure} {alone.quality:.4f}): re-rank nothing."
            )
        chance = "" if best.p_value is None or best.p_value < CERTAIN else ", which may be chance"
        return (
            f"{within} use {best.name} on the best {best.depth} candidates: {best.measure}"
            f" {best.quality:.4f} against {alone.quality:.4f} without it{chance}, 95 of 100 queries"
            f" done in {format_number(best.p95_ms)} ms."
        )

    @property
    def command(self) -> str | None:
        """The command that uses what is advised, where that is more than to leave all as it is."""
        best = self.advised
        if not best.depth:
            return None
        more = [f"depth={best.depth}", f"candidates={self.candidates}"]
        return shlex.join(["recross", "rerank", *best.words, *more])


def read_choices(paths: Sequence[Path]) -> ChoiceStudy:
    """Read the records of choices that were measured together.

    Raises:
        InputError: they are of different candidates.
    """
    records: list[JsonObject] = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    for fact in ("collection", "candidates", "queries"):
        if len(found := {str(record[fact]) for record in records}) > 1:
            raise InputError(f"choices must be of the same {fact}, got {' and '.join(found)}")
    first = records[0]
    rows = [_make_first_stage(first), *(row for record in records for row in _make_rows(record))]
    environment = first["environment"]
    return ChoiceStudy(
        tuple(mark_front(rows)),
        first["within_ms"],
        str(first["candidates"]),
        str(first["collection"]),
        int(first["queries"]),
        f"{environment['processor']}, threads: {environment['torch_threads']}",
    )


def mark_front(rows: Sequence[ChoiceRow]) -> list[ChoiceRow]:
    """The rows from the fastest to the slowest; those on the front are better than all before."""
    ordered = sorted(rows, key=lambda row: (row.p95_ms, -row.quality))
    front = set(list_front([(row.p95_ms, row.quality) for row in ordered]))
    return [replace(row, is_on_front=place in front) for place, row in enumerate(ordered)]


def _make_first_stage(record: JsonObject) -> ChoiceRow:
    measures = record["first_stage"]["measures"]
    name = next(iter(measures))
    interval = record["first_stage"]["intervals"][name]
    free = {"p50_ms": 0.0, "p95_ms": 0.0, "p99_ms": 0.0}
    return ChoiceRow("candidates as they are", 0, "", name, measures, tuple(interval), free)


def _make_rows(record: JsonObject) -> list[ChoiceRow]:
    return [
        ChoiceRow(
            name=record["name"],
            depth=measured["depth"],
            form=" ".join(filter(None, (record["backend"], record["precision"]))),
            measure=(name := next(iter(measured["measures"]))),
            measures=measured["measures"],
            interval=tuple(measured["intervals"][name]),
            milliseconds={key: measured[key] for key in ("p50_ms", "p95_ms", "p99_ms")},
            words=tuple(record["words"]),
            p_value=measured["p_values"][name],
            pairs_per_second=measured["pairs_per_second"],
            queries_per_second=measured["queries_per_second"],
            load_seconds=record["load_seconds"],
            peak_memory_mb=record["peak_memory_mb"],
            peak_gpu_memory_mb=record["peak_gpu_memory_mb"],
            size_mb=record["size_mb"],
        )
        for measured in record["depths"]
    ]
