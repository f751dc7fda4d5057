"""Where a command leaves its files, by which those who started it elsewhere know how it went."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path

from recross.records import JsonObject
from recross.store import write_json

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Place:
    """The files of one command; no two cells of a sweep have the same ``result``.

    ``result`` is the file or folder that says that the command is done. ``study`` is the folder
    whose table has a row for it, if any has.
    """

    result: Path
    config: Path
    failure: Path
    study: Path | None = None

    @classmethod
    def of_run_file(cls, path: Path) -> Place:
        """The place of a command that writes one run file: the others lie beside it."""
        return cls(
            result=path,
            config=path.with_suffix(".yaml"),
            failure=path.with_suffix(".failed.json"),
        )

    def record_failure(self, names: JsonObject, error: Exception) -> None:
        """Record that the command failed, and why."""
        reason = f"{type(error).__name__}: {error}"
        try:
            write_json(self.failure, {**names, "status": "failed", "error": reason})
        except OSError:  # no space: what needs none says that it failed
            logger.error("%s", reason)
            if self.failure == self.result:
                self.result.unlink(missing_ok=True)
            else:
                self.failure.touch()

    def forget_failure(self) -> None:
        """Remove the record of an earlier failure, so that one that is found later is new."""
        if self._recorded_failure() is not None:
            self.failure.unlink()

    def find_failure(self) -> str | None:
        """Why the command failed, as far as its files tell; ``None`` if it is done."""
        absent = None if self.result.exists() else "no result was written"
        return self._recorded_failure() or absent

    def _recorded_failure(self) -> str | None:
        if not self.failure.is_file():
            return None
        text = self.failure.read_text(encoding="utf-8")
        if not text:
            return "there was no space to write why"
        record: JsonObject = json.loads(text)
        return str(record["error"]) if record.get("status") == "failed" else None
