"""Curves as comma-separated values, for spreadsheets and data frames."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from recross.records import JsonObject
from recross.tracking.tracker import JsonLinesLog, JsonLinesTracker
from recross.writing.whole_files import append_whole, write_whole

CURVES = "curves.csv"


@dataclass(frozen=True)
class CsvTracker:
    """One line a value, ``step,name,value``, in ``curves.csv``, and JSON lines beside it."""

    def open(self, folder: Path, study: str, name: str, config: JsonObject) -> CsvLog:
        """Start an empty file in the experiment's folder."""
        lines = JsonLinesTracker().open(folder, study, name, config)
        log = CsvLog(folder / CURVES, lines)
        write_whole(log.path, _format([("step", "name", "value")]))
        return log


@dataclass(frozen=True)
class CsvLog:
    """The ``curves.csv`` of an experiment that is running."""

    path: Path
    lines: JsonLinesLog

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Append the values of one step."""
        self.lines.log(step, values)
        append_whole(self.path, _format((step, name, value) for name, value in values.items()))

    def finish(self, result: JsonObject) -> None:
        """Record the result beside the curves; its measures are in ``measures.json``."""
        self.lines.finish(result)


def _format(rows: Iterable[tuple[object, ...]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
