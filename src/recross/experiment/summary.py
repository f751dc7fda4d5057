"""What the end of an experiment tells: what was found, what was left out, and what comes next."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from recross.evaluation.significance import bootstrap_interval, pair_differences
from recross.records import JsonObject
from recross.writing.numbers import relate_p_value

MEASURES = "measures.json"
_STAGES = {"first_stage": "first stage", "reranked": "re-ranker", "interpolated": "interpolated"}
_DROPPED = {
    "asked_without_candidates": "queries have no candidates and score 0",
    "without_qrels": "queries are not judged",
    "without_relevant": "judged queries have no relevant document",
    "short": "queries have fewer candidates than depth",
}


class _Stage(NamedTuple):
    name: str
    measured: JsonObject
    p_values: Mapping[str, float]


def summarise(folder: Path, result: JsonObject) -> str:
    """The result of a finished experiment, in lines; ``result`` is its record."""
    stages = list(_read_stages(folder, result))
    asked = result["queries"]["asked"]
    lines = [
        f"{result['label']}, seed {result['seed']}: {asked} queries, depth {result['depth']}",
        *_format_stages(stages),
        *_format_differences(stages),
        *_list_cuts(result),
        *(f"left out: {text}" for text in _list_dropped(result)),
        f"folder: {folder}",
        _say_next(folder),
    ]
    return "\n".join(lines)


def _read_stages(folder: Path, result: JsonObject) -> Iterator[_Stage]:
    measured = json.loads((folder / MEASURES).read_text(encoding="utf-8"))
    mixed = result["interpolation"] or {}
    names = dict(_STAGES)
    if mixed:
        names["interpolated"] = f"interpolated ({mixed['weight']:.2f})"
    p_values = {
        "first_stage": {},
        "reranked": result["p_values"],
        "interpolated": mixed.get("p_values", {}),
    }
    for key, name in names.items():
        if key in measured and (key != "reranked" or result["reranks"]):
            yield _Stage(name, measured[key], p_values[key])


def _format_stages(stages: Sequence[_Stage]) -> Iterator[str]:
    """A row for each stage under the names of the measures."""
    measures = list(stages[0].measured["mean"])
    rows = [["", *measures]]
    for stage in stages:
        means, intervals = stage.measured["mean"], stage.measured["interval_95"]
        cells = [f"{means[name]:.4f} [{_range(intervals[name], '.4f')}]" for name in measures]
        rows.append([stage.name, *cells])
    yield from _align(rows)


def _format_differences(stages: Sequence[_Stage]) -> Iterator[str]:
    """A line for each measure of each stage after the first."""
    rows = []
    for stage in stages[1:]:
        for name, values in stage.measured["per_query"].items():
            differences = pair_differences(values, stages[0].measured["per_query"][name])
            interval = bootstrap_interval(differences.tolist())
            mean = f"{float(differences.mean()):+.4f} [{_range(interval, '+.4f')}]"
            p_value = relate_p_value(stage.p_values[name])
            rows.append([f"{stage.name} - first stage", name, mean, f"p {p_value}"])
    yield from _align(rows)


def _list_cuts(result: JsonObject) -> Iterator[str]:
    for name, key in (("first stage", "first_stage_truncation"), ("re-ranker", "truncation")):
        cut = result[key]
        if cut["documents"] or cut["queries"]:
            yield (
                f"cut: {cut['documents']:,} documents and {cut['queries']:,} queries by the {name},"
                f" {cut['tokens_lost_share']:.1%} of the tokens"
            )


def _list_dropped(result: JsonObject) -> Iterator[str]:
    queries = result["queries"]
    counts = {**queries, "asked_without_candidates": queries["asked"] - queries["scored"]}
    for key, text in _DROPPED.items():
        if counts[key]:
            yield f"{counts[key]:,} of {queries['asked']:,} {text}"
    if queries["relevant_unknown"]:
        yield f"{queries['relevant_unknown']:,} relevant documents are not in the collection"
    if result["left_out"]:
        yield f"{result['left_out']:,} documents that are excluded for their query"
    for reason, count in result["training"].get("left_out", {}).items():
        if count:
            yield f"{count:,} in training: {reason.replace('_', ' ')}"


def _say_next(folder: Path) -> str:
    study = folder.parents[1]
    return (
        f"next: recross table {shlex.quote(str(study))}  (table and page: {study / 'table.html'})"
    )


def _range(interval: Sequence[float], form: str) -> str:
    return ", ".join(format(bound, form) for bound in interval)


def _align(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Rows as lines, in columns two blanks apart."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()
