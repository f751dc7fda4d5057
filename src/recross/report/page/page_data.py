"""Everything that a study's page shows, as plain values."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from recross.records import Json
from recross.report.finding import compose_finding
from recross.report.finished import Finished
from recross.report.page.page_table import make_page_table
from recross.report.tables.front import find_front, find_milliseconds
from recross.report.tables.rows import INTERPOLATED, Row
from recross.report.tables.short_labels import shorten_labels
from recross.writing.alignment import MISSING

CURVE_POINTS = 300


def collect_study(rows: Sequence[Row], finished: Sequence[Finished]) -> dict[str, Json]:
    """The table, the points of the plot, learning curves, machines and commands."""
    return {
        "studies": sorted({experiment.record["study"] for experiment in finished}),
        "summary": _summarise(rows, finished),
        **collect_rows(rows),
        "points": _list_points(rows),
        "curves": [curve for one in _sort_by_quality(finished) if (curve := _read_curve(one))],
        "environment": _compare_environments(finished),
        "commands": _list_commands(finished),
    }


def collect_rows(rows: Sequence[Row]) -> dict[str, Json]:
    """What the page shows of a table's rows alone."""
    return {"finding": compose_finding(rows), "table": make_page_table(rows)}


def _summarise(rows: Sequence[Row], finished: Sequence[Finished]) -> list[str]:
    query_counts = sorted({experiment.record["queries"]["asked"] for experiment in finished})
    seeds = len({experiment.record["seed"] for experiment in finished})
    names = sorted({experiment.record["collection_name"] for experiment in finished})
    measures = list(dict.fromkeys(name for row in rows for name in row.measures))
    return [
        _count(len(finished), "experiment"),
        _count(seeds, "seed"),
        " or ".join(f"{number:,}" for number in query_counts) + " test queries",
        "collection " + ", ".join(names),
        "first measure " + measures[0] if measures else "",
    ]


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("s" if number != 1 else "")


def _list_points(rows: Sequence[Row]) -> list[dict[str, Json]]:
    points = [point for row in rows if (point := _make_point(row))]
    short, _ = shorten_labels([point["label"] for point in points])
    front = {rows[number].label for number in find_front(rows)}
    return [
        {**point, "short": name, "front": point["label"] in front}
        for point, name in zip(points, short, strict=True)
    ]


def _make_point(row: Row) -> dict[str, Json] | None:
    latency = find_milliseconds(row)
    if not row.measures or not latency:
        return None
    name, value = next(iter(row.measures.items()))
    reranks = row.difference is not None
    return {
        "label": row.label,
        "kind": "first stage"
        if not reranks
        else "interpolated"
        if INTERPOLATED in row.label
        else "re-ranker",
        "measure": name,
        "value": value.mean,
        "low": value.low,
        "high": value.high,
        "latency": latency,
        "size_mb": row.size_mb,
        "mark": row.mark,
    }


def list_intervals(rows: Sequence[Row]) -> list[dict[str, Json]]:
    """Every measure, with the mean and the interval of each row."""
    names = dict.fromkeys(name for row in rows for name in row.measures)
    short, _ = shorten_labels([row.label for row in rows])
    return [
        {
            "measure": name,
            "rows": [
                {
                    "short": label,
                    "value": row.measures[name].mean,
                    "low": row.measures[name].low,
                    "high": row.measures[name].high,
                    "mark": row.mark_of(name),
                }
                for row, label in zip(rows, short, strict=True)
                if name in row.measures
            ],
        }
        for name in names
    ]


def _sort_by_quality(finished: Sequence[Finished]) -> list[Finished]:
    """The best in the first measure, alone or interpolated, first."""

    def find_quality(experiment: Finished) -> float:
        alone = experiment.record["measures"]
        mixed = (experiment.record.get("interpolation") or {}).get("measures", {})
        first: str = next(iter(alone))
        return max(float(alone[first]), float(mixed.get(first, 0.0)))

    return sorted(finished, key=find_quality, reverse=True)


def _read_curve(experiment: Finished) -> dict[str, Json] | None:
    """Losses and dev measures by step; ``None`` where this run trained nothing itself."""
    path = experiment.folder / "log.jsonl"
    lines = path.read_text("utf-8").splitlines() if path.is_file() else []
    steps = [record for record in map(json.loads, lines) if "step" in record]
    loss = [(record["step"], record["loss"]) for record in steps if "loss" in record]
    names = dict.fromkeys(name for record in steps for name in record if name.startswith("dev "))
    if not loss and not names:
        return None
    return {
        "label": experiment.record["label"],
        "seed": experiment.record["seed"],
        "loss": thin(loss, CURVE_POINTS),
        "dev": {
            name: [(record["step"], record[name]) for record in steps if name in record]
            for name in names
        },
        "best_step": (experiment.record.get("training") or {}).get("best_step"),
    }


def thin(points: Sequence[tuple[int, float]], most: int) -> list[tuple[int, float]]:
    """At most ``most`` points: means of neighbours, at the last of their steps."""
    width = math.ceil(len(points) / most) or 1
    groups = [points[start : start + width] for start in range(0, len(points), width)]
    return [(group[-1][0], sum(value for _, value in group) / len(group)) for group in groups]


def _compare_environments(finished: Sequence[Finished]) -> dict[str, Json]:
    """What all experiments share, and what differs with each."""
    known = [
        (experiment, environment)
        for experiment in finished
        if (environment := _flatten(experiment))
    ]
    names = list(dict.fromkeys(name for _, environment in known for name in environment))
    differing = [
        name
        for name in names
        if len({environment.get(name, MISSING) for _, environment in known}) > 1
    ]
    return {
        "shared": [[name, known[0][1][name]] for name in names if name not in differing],
        "columns": ["experiment", *differing],
        "own": [
            [_name_experiment(experiment), *(environment.get(name, MISSING) for name in differing)]
            for experiment, environment in known
            if differing
        ],
        "missing": len(finished) - len(known),
    }


def _flatten(experiment: Finished) -> dict[str, str]:
    environment = _read_environment(experiment)
    facts: dict[str, Json] = {}
    for name, value in environment.items():
        match value:
            case Mapping():
                prefix = "" if name == "packages" else f"{name} "
                facts |= {f"{prefix}{key}": fact for key, fact in value.items()}
            case _ if name != "command":
                facts[name.replace("_", " ")] = value
    packages = environment.get("packages", {})
    ordered = sorted(facts.items(), key=lambda item: item[0] in packages)
    return {name: _say(value) for name, value in ordered}


def _say(value: Json) -> str:
    match value:
        case None:
            return MISSING
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(map(str, value)) or "none"
    return str(value)


def _list_commands(finished: Sequence[Finished]) -> list[dict[str, Json]]:
    made: dict[str, list[str]] = {}
    for experiment in finished:
        if words := _read_environment(experiment).get("command"):
            named = f"{_name_experiment(experiment)}: {experiment.folder}"
            made.setdefault(quote_command(words), []).append(named)
    return [{"command": command, "experiments": names} for command, names in made.items()]


def quote_command(words: Sequence[str]) -> str:
    """The command as it can be pasted into a shell."""
    return shlex.join([Path(words[0]).name, *words[1:]])


def _read_environment(experiment: Finished) -> dict[str, Json]:
    path = experiment.folder / "environment.json"
    environment: dict[str, Json] = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    return environment


def _name_experiment(experiment: Finished) -> str:
    return f"{experiment.record['label']}, seed {experiment.record['seed']}"
