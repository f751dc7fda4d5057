"""Finished experiments, found in their folders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from recross.errors import InputError
from recross.experiment.finished_folder import FACTS, RESULT, is_finished, read_result
from recross.records import JsonObject


@dataclass(frozen=True)
class Finished:
    """A finished experiment: where its files lie, and its record."""

    folder: Path
    record: JsonObject


def find_finished(folders: Sequence[Path]) -> list[Finished]:
    """Every finished experiment under the folders.

    Raises:
        InputError: a folder does not exist, or holds a record of an older version.
    """
    finished = []
    for folder in folders:
        if not folder.is_dir():
            raise InputError(f"table needs folders of experiments, got {str(folder)!r}")
        for path in sorted(folder.rglob(RESULT)):
            record = read_result(path.parent)
            if record and record["status"] == "done":
                finished.append(_check_finished(path.parent, record))
    return finished


def _check_finished(folder: Path, record: JsonObject) -> Finished:
    if not is_finished(record):
        lacking = next(fact for fact in FACTS if fact not in record)
        raise InputError(
            f"{folder / RESULT} must say {lacking!r}, got a record of an older version: run the"
            " experiment again"
        )
    return Finished(folder, record)
