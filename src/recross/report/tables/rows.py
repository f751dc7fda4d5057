"""Finished experiments as rows: seeds averaged, significance corrected, references beside."""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from recross.errors import InputError
from recross.evaluation.significance import adjust_p_values
from recross.records import JsonObject
from recross.report.references import are_same_candidates
from recross.report.tables.query_costs import count_query_passes, count_query_tokens
from recross.report.tables.row_references import Reference
from recross.report.tables.values import Value, make_value

SIGNIFICANT = 0.05
INTERPOLATED = ", interpolated"
SETTING = (
    *("retriever", "reranker", "training_data", "loss", "validation_retriever", "teacher"),
    *("recipe", "depth", "backend", "precision", "budget_ms"),
)
"""What a record says of its parts, but for the collection and the seed."""


@dataclass(frozen=True)
class Row:
    """One line of the table.

    ``differences`` from what a row is compared with and their ``p_values``, adjusted for the number
    of rows (Holm), are by measure: with its own first stage, or the row that ``against`` names.
    ``form`` is the back-end with its precision, ``gate`` what the quality gate found of it.
    ``curve`` is the line of a plot that it is a point of, over ``depth``, ``budget_ms`` or
    ``training_pairs``.
    Rows of one ``study`` and ``setting`` differ in their ``collection`` alone; of a mean over
    several, ``collections`` says how many. ``folders`` hold its experiments with all their files,
    ``versions`` of recross made them.
    """

    label: str
    seeds: int
    measures: Mapping[str, Value]
    p_values: Mapping[str, float] = field(default_factory=dict)
    differences: Mapping[str, float] = field(default_factory=dict)
    against: str | None = None
    latency: Mapping[str, float] | None = None
    first_stage_ms: float | None = None
    pairs_per_second: float | None = None
    passes_per_query: float | None = None
    tokens_per_query: float | None = None
    form: str = ""
    gate: JsonObject | None = None
    parameters: int | None = None
    size_mb: float | None = None
    reference: Reference | None = None
    candidates: str = ""
    curve: str | None = None
    depth: int | None = None
    budget_ms: float | None = None
    training_pairs: int | None = None
    study: str = ""
    collection: str = ""
    setting: str = ""
    collections: int | None = None
    folders: tuple[str, ...] = ()
    versions: tuple[str, ...] = ()

    @property
    def p_value(self) -> float | None:
        """That of the first measure; ``None`` where nothing was compared."""
        return next(iter(self.p_values.values()), None)

    @property
    def difference(self) -> float | None:
        """That of the first measure; ``None`` where nothing was compared."""
        return next(iter(self.differences.values()), None)

    @property
    def is_published_over_others(self) -> bool:
        """Whether the published value is over other candidates than what was measured."""
        if not self.measures or self.reference is None or self.reference.published is None:
            return False
        return not are_same_candidates(self.candidates, self.reference.candidates)

    @property
    def mark(self) -> str:
        """``▲`` or ``▼`` where the first measure is significantly better or worse."""
        return self.mark_of(next(iter(self.measures), ""))

    def mark_of(self, measure: str) -> str:
        """``▲`` or ``▼`` where this measure is significantly better or worse."""
        if self.p_values.get(measure, 1.0) >= SIGNIFICANT:
            return ""
        return "▲" if self.differences[measure] > 0 else "▼"


def make_rows(results: Iterable[JsonObject], references: Mapping[str, Reference]) -> list[Row]:
    """One row per label, and one more where it was interpolated; first stages come first.

    Several seeds of a label are averaged; of their p-values the largest counts.

    Raises:
        InputError: experiments of one label differ in collection or candidates.
    """
    by_label: dict[str, list[JsonObject]] = {}
    for result in results:
        by_label.setdefault(result["label"], []).append(result)
    for label, runs in by_label.items():
        _check_alike(label, runs)
    rows = [row for runs in by_label.values() for row in _make_label_rows(runs, references)]
    missing = [label for label in references if label not in by_label]
    rows += [_make_unmeasured(references[label]) for label in missing]
    order = list(references)
    return sorted(correct_p_values(rows), key=lambda row: _place(row, order))


def correct_p_values(rows: Sequence[Row]) -> list[Row]:
    """The rows with the p-values of each measure adjusted for how many rows have one."""
    by_row: list[dict[str, float]] = [{} for _ in rows]
    for name in dict.fromkeys(name for row in rows for name in row.p_values):
        compared = [number for number, row in enumerate(rows) if name in row.p_values]
        adjusted = adjust_p_values([rows[number].p_values[name] for number in compared])
        for number, p_value in zip(compared, adjusted, strict=True):
            by_row[number][name] = p_value
    return [replace(row, p_values=own) for row, own in zip(rows, by_row, strict=True)]


def _check_alike(label: str, runs: Sequence[JsonObject]) -> None:
    """Refuse to average what is no other seed of the same."""
    for fact, what in (("collection_name", "collection"), ("candidates", "set of candidates")):
        found = list(dict.fromkeys(run[fact] for run in runs))
        if len(found) > 1:
            raise InputError(f"label {label!r} must be of one {what}, got {' and '.join(found)}")


def _make_label_rows(runs: Sequence[JsonObject], references: Mapping[str, Reference]) -> list[Row]:
    reference = references.get(runs[0]["label"])
    rows = [_make_row(runs[0]["label"], runs, runs, reference)]
    mixed = [run["interpolation"] for run in runs if run.get("interpolation")]
    if len(mixed) == len(runs):
        weights = ", ".join(f"{mix['weight']:.2f}" for mix in mixed)
        rows.append(_make_row(f"{runs[0]['label']}{INTERPOLATED} ({weights})", mixed, runs, None))
    return rows


def _make_row(
    label: str,
    judged: Sequence[JsonObject],
    runs: Sequence[JsonObject],
    reference: Reference | None,
) -> Row:
    latency = [run["latency_ms_per_100"] for run in runs if run["latency_ms_per_100"]]
    search = [run["first_stage_ms"]["p50"] for run in runs if run["first_stage_ms"]]
    differences = _average_differences(judged, runs) if runs[0]["reranks"] else {}
    return Row(
        label=label,
        seeds=len(runs),
        measures={name: make_value(name, judged) for name in judged[0]["measures"]},
        p_values={name: max(one["p_values"][name] for one in judged) for name in differences},
        differences=differences,
        latency={k: statistics.median(times[k] for times in latency) for k in latency[0]}
        if latency
        else None,
        first_stage_ms=statistics.median(search) if search else None,
        pairs_per_second=_compute_median([run["pairs_per_second"] for run in runs]),
        passes_per_query=count_query_passes(runs[0]),
        tokens_per_query=count_query_tokens(runs[0]),
        form=" ".join(filter(None, (runs[0]["backend"], runs[0]["precision"]))),
        gate=_find_worst_gate(runs),
        parameters=runs[0]["parameters"],
        size_mb=runs[0]["size_mb"],
        reference=reference,
        candidates=runs[0]["candidates"],
        curve=runs[0].get("curve") if judged is runs else None,
        depth=runs[0]["depth"],
        budget_ms=runs[0].get("budget_ms"),
        training_pairs=(runs[0].get("training") or {}).get("pairs"),
        study=runs[0]["study"],
        collection=runs[0]["collection_name"],
        setting=_describe_setting(runs[0], is_mixed=judged is not runs),
        folders=tuple(run["folder"] for run in runs if "folder" in run),
        versions=tuple(dict.fromkeys(run["recross"] for run in runs if "recross" in run)),
    )


def _average_differences(
    judged: Sequence[JsonObject], runs: Sequence[JsonObject]
) -> dict[str, float]:
    """From the first stage, over seeds, by measure that was tested."""
    return {
        name: statistics.mean(record["measures"][name] for record in judged)
        - statistics.mean(run["first_stage_measures"][name] for run in runs)
        for name in judged[0]["measures"]
        if all(name in record["p_values"] for record in judged)
    }


def _describe_setting(run: JsonObject, is_mixed: bool) -> str:
    """What was measured, whatever the collection."""
    return json.dumps([is_mixed, *(run.get(fact) for fact in SETTING)], sort_keys=True)


def _find_worst_gate(runs: Sequence[JsonObject]) -> JsonObject | None:
    gates = [run["quality_gate"] for run in runs if run.get("quality_gate")]
    return min(gates, key=lambda gate: gate.get("tau_mean", 1.0), default=None)


def _compute_median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def _make_unmeasured(reference: Reference) -> Row:
    return Row(label=reference.label, seeds=0, measures={}, reference=reference)


def _place(row: Row, order: Sequence[str]) -> tuple[int, int, float, str]:
    listed = order.index(row.label) if row.label in order else len(order)
    first = next(iter(row.measures.values()), None)
    if row.difference is None:  # a first stage: the weaker before the stronger
        return (listed, 0, first.mean if first else 0.0, row.label)
    by_number = re.sub(r"\d+", lambda number: number[0].zfill(9), row.label)  # 20 before 100
    return (listed, 1, float(row.parameters or 0), by_number)
