"""The parity gate: what was measured, held against reference values over the same candidates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from recross.records import JsonObject
from recross.report.references import LATENCY, SIZE, ReferenceValue, are_same_candidates
from recross.report.tables.means import make_table_rows
from recross.report.tables.rows import INTERPOLATED, Row
from recross.writing.alignment import MISSING, align_table

SIZE_TOLERANCE_MB = 0.5
_Record = JsonObject


@dataclass(frozen=True)
class Verdict:
    """A reference value beside what was measured; ``None``: there is no such row or measure.

    ``candidates`` is the set that the measured row re-ranked.
    """

    reference: ReferenceValue
    measured: float | None
    candidates: str | None

    @property
    def difference(self) -> float | None:
        """The measured value minus the reference value."""
        return None if self.measured is None else self.measured - self.reference.value

    @property
    def verdict(self) -> Literal["met", "missed", "not comparable"]:
        """Values over other candidates are not comparable; what was not measured is missed."""
        if self.difference is None:
            return "missed"
        if not are_same_candidates(self.candidates or "", self.reference.candidates):
            return "not comparable"
        # a value that is printed with four digits may be off by half of the last one
        return "met" if abs(self.difference) <= (self.reference.tolerance or 0) + 5e-5 else "missed"

    def __str__(self) -> str:
        reference = self.reference
        subject = f"{reference.study}: {reference.label}: {reference.measure}"
        if self.difference is None:
            return f"{subject} was not measured, {reference.kind} {reference.value}"
        if self.verdict == "not comparable":
            return (
                f"{subject} is over {self.candidates}, {reference.kind} over {reference.candidates}"
            )
        return (
            f"{subject} {self.measured:.4f}, {reference.kind} {reference.value:.4f},"
            f" differs by {self.difference:+.4f}, tolerance {reference.tolerance}"
        )


def judge(records: Sequence[_Record], values: Sequence[ReferenceValue]) -> list[Verdict]:
    """A verdict on every reference value that is checked, study by study."""
    verdicts = []
    for study in dict.fromkeys(value.study for value in values):
        of_study = [record for record in records if record["study"] == study]
        rows = {_name_row(row): row for row in make_table_rows(of_study, {})}
        for value in values:
            if value.study == study and value.is_checked:
                row = rows.get(value.label)
                measured = _measured(row, value.measure) if row else None
                verdicts.append(Verdict(value, measured, row.candidates if row else None))
    return verdicts


def format_parity(verdicts: Sequence[Verdict]) -> str:
    """Every reference value with what was measured, as a Markdown table."""
    header = ("row", "measure", "candidates", "measured", "reference", "difference", "tolerance")
    lines = [
        (
            verdict.reference.label,
            verdict.reference.measure,
            _format_candidates(verdict),
            MISSING if verdict.measured is None else f"{verdict.measured:.4f}",
            f"{verdict.reference.value:.4f}",
            MISSING if verdict.difference is None else f"{verdict.difference:+.4f}",
            str(verdict.reference.tolerance),
            verdict.verdict,
        )
        for verdict in verdicts
    ]
    return "\n".join(align_table((*header, "verdict"), lines, words=3)) + "\n"


def collect_measured_values(
    records: Sequence[_Record], tolerance: float, source: str
) -> list[ReferenceValue]:
    """The measures and sizes of these experiments, to hold later runs against; no latencies."""
    values = []
    for study in dict.fromkeys(record["study"] for record in records):
        of_study = [record for record in records if record["study"] == study]
        for row in make_table_rows(of_study, {}):
            label = _name_row(row)
            measured = {name: (value.mean, tolerance) for name, value in row.measures.items()}
            if row.size_mb and INTERPOLATED not in row.label:
                measured[SIZE] = (row.size_mb, SIZE_TOLERANCE_MB)
            values += [
                ReferenceValue(
                    study, label, "measured", name, round(value, 4), allowed, row.candidates, source
                )
                for name, (value, allowed) in measured.items()
            ]
    return values


def _name_row(row: Row) -> str:
    """A row's label without the interpolation's weight, which may differ from run to run."""
    label, mixed, _ = row.label.partition(INTERPOLATED)
    return label + mixed


def _measured(row: Row, measure: str) -> float | None:
    if measure == LATENCY:
        return row.latency["p50"] if row.latency else row.first_stage_ms
    if measure == SIZE:
        return row.size_mb
    value = row.measures.get(measure)
    return value.mean if value else None


def _format_candidates(verdict: Verdict) -> str:
    if verdict.verdict == "not comparable":
        return f"{verdict.candidates}; reference: {verdict.reference.candidates}"
    return verdict.reference.candidates
