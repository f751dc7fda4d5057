"""What a tracker is, and the default one: JSON lines."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from recross.records import JsonObject
from recross.writing.whole_files import append_whole, write_whole


class Log(Protocol):
    """The log of an experiment that is running."""

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Record values of one optimiser step."""

    def finish(self, result: JsonObject) -> None:
        """Record the result and close."""


@runtime_checkable
class Tracker(Protocol):
    """Opens a log for an experiment."""

    def open(self, folder: Path, study: str, name: str, config: JsonObject) -> Log:
        """Begin to record into ``folder``; ``study`` groups experiments."""


@dataclass(frozen=True)
class JsonLinesTracker:
    """One JSON object a line in ``log.jsonl``, written as it happens."""

    def open(self, folder: Path, study: str, name: str, config: JsonObject) -> JsonLinesLog:
        """Start an empty log in the experiment's folder."""
        folder.mkdir(parents=True, exist_ok=True)
        log = JsonLinesLog(folder / "log.jsonl")
        write_whole(log.path, "")
        log.write({"event": "start", "study": study, "name": name})
        return log


@dataclass(frozen=True)
class JsonLinesLog:
    """The ``log.jsonl`` of an experiment that is running."""

    path: Path

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Append the values of one step."""
        self.write({"event": "step", "step": step, **values})

    def finish(self, result: JsonObject) -> None:
        """Append the final measures of the experiment."""
        self.write({"event": "finish", "measures": result.get("measures", {})})

    def write(self, record: JsonObject) -> None:
        """Append one record with the time, in seconds since 1970."""
        append_whole(self.path, json.dumps({"time": round(time.time(), 3), **record}) + "\n")
