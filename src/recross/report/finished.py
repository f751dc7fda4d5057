"""Finished experiments, found in their folders."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from recross.artefacts.inventory import is_sealed
from recross.artefacts.manifest import MANIFEST, read_sealed
from recross.errors import InputError
from recross.experiment.finished_folder import (
    FACTS,
    RESULT,
    find_record_damage,
    is_finished,
    read_result,
)
from recross.records import JsonObject

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Finished:
    """A finished experiment: where its files lie, and its record."""

    folder: Path
    record: JsonObject


def find_finished(folders: Sequence[Path]) -> list[Finished]:
    """Every finished experiment under the folders, its files verified.

    One with a file that is not as it was written is left out, and that is said; of those that were
    never sealed, nothing can be verified, which is said, too.

    Raises:
        InputError: a folder does not exist, or holds a record of an older version.
    """
    finished = []
    for folder in folders:
        if not folder.is_dir():
            raise InputError(f"table needs folders of experiments, got {str(folder)!r}")
        for place in _list_places(folder):
            if is_sealed(place) and (damage := find_record_damage(place)) is not None:
                _say_left_out(place, damage)
                continue
            record = read_result(place)
            if record and record["status"] == "done":
                finished.append(_check_finished(place, record))
    if unsealed := [str(one.folder) for one in finished if not is_sealed(one.folder)]:
        _say_unverified(len(unsealed), unsealed[0])
    return finished


def _list_places(folder: Path) -> list[Path]:
    """Folders below this one that hold a result, or whose manifest says that they did."""
    places = {path.parent for path in folder.rglob(RESULT)}
    sealed = {path.parent for path in folder.rglob(MANIFEST)} - places
    return sorted(places | {place for place in sealed if _lost_its_result(place)})


def _lost_its_result(place: Path) -> bool:
    manifest = read_sealed(place)
    return manifest is not None and RESULT in manifest["files"]


@cache
def _say_left_out(folder: Path, damage: str) -> None:
    logger.warning("%s: %s; left out, run the experiment again", folder, damage)


@cache
def _say_unverified(count: int, first: str) -> None:
    logger.warning("%d results have no manifest to be verified by, such as %s", count, first)


def _check_finished(folder: Path, record: JsonObject) -> Finished:
    if not is_finished(record):
        lacking = next(fact for fact in FACTS if fact not in record)
        raise InputError(
            f"{folder / RESULT} must say {lacking!r}, got a record of an older version: run the"
            " experiment again"
        )
    return Finished(folder, record)
