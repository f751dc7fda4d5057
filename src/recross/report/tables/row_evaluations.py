"""The rows of a table as evaluations, query by query, so that they can be compared."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from recross.errors import InputError
from recross.evaluation.measures import Evaluation
from recross.report.finished import Finished, find_finished
from recross.report.tables.rows import INTERPOLATED

FIRST_STAGE = "first stage of "


def read_row_evaluations(
    folders: Sequence[Path], measures: Sequence[str], patterns: Collection[str] = ()
) -> dict[str, Evaluation]:
    """Rows by label, each query's value averaged over the row's seeds.

    A row has its re-ranker alone, mixed with the first stage (``LABEL, interpolated``), and its
    ``first stage of LABEL``. Rows whose label matches one of the shell ``patterns`` are returned,
    in the patterns' order; without a pattern, all but the first stages. A first stage is matched
    only by a pattern that itself begins with ``first stage of``.

    Raises:
        InputError: a folder is missing, a measure was not evaluated, or nothing matches.
    """
    seeds: dict[str, list[Evaluation]] = {}
    for experiment in find_finished(folders):
        for label, evaluation in _read_stages(experiment, measures).items():
            seeds.setdefault(label, []).append(evaluation)
    chosen = [label for pattern in patterns or ["*"] for label in seeds if _matches(label, pattern)]
    if not chosen:
        raise InputError(f"rows must match one of {', '.join(seeds) or 'none'}, got {patterns}")
    return {label: _averaged(seeds[label], measures) for label in dict.fromkeys(chosen)}


def _matches(label: str, pattern: str) -> bool:
    asks_for_first = pattern.startswith(FIRST_STAGE)
    return fnmatchcase(label, pattern) and label.startswith(FIRST_STAGE) == asks_for_first


def _read_stages(experiment: Finished, measures: Sequence[str]) -> Mapping[str, Evaluation]:
    label = experiment.record["label"]
    labels = {
        "reranked": label,
        "interpolated": f"{label}{INTERPOLATED}",
        "first_stage": f"{FIRST_STAGE}{label}",
    }
    measured = json.loads((experiment.folder / "measures.json").read_text(encoding="utf-8"))
    missing = [measure for measure in measures if measure not in measured["reranked"]["per_query"]]
    if missing:
        known = ", ".join(measured["reranked"]["per_query"])
        raise InputError(f"measures must be among {known}, got {missing[0]!r}")
    return {
        label: Evaluation(measured[stage]["per_query"])
        for stage, label in labels.items()
        if measured.get(stage)
    }


def _averaged(seeds: Sequence[Evaluation], measures: Sequence[str]) -> Evaluation:
    per_query = {}
    for measure in measures:
        values = [seed.per_query[measure] for seed in seeds]
        shared = [
            query_id for query_id in values[0] if all(query_id in by_query for by_query in values)
        ]
        per_query[measure] = {
            q: sum(by_query[q] for by_query in values) / len(values) for q in shared
        }
    return Evaluation(per_query)
