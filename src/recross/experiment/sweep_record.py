"""What a sweep writes down before its first cell, and how far each cell is by its files alone."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from recross.artefacts.locks import hold_alone, is_held
from recross.errors import InputError
from recross.experiment.place import Place
from recross.records import JsonObject
from recross.store import write_json

SWEEP = "sweep.json"
"""Beside the cells of a sweep; it says where each of them writes."""
_FILES = ("result", "config", "failure", "lock", "account")


class CellState(Enum):
    """How far a cell is."""

    DONE = "done"
    RUNNING = "running"
    WAITING = "waiting"
    FAILED = "failed"
    LOST = "lost"
    """Its process ended without a word; a launcher may start it again."""


@dataclass(frozen=True)
class SweptCell:
    """A cell of a sweep, by the files that it writes.

    ``begun`` is when the sweep was started, by the clock of the file system. ``was_finished``:
    the result that the cell would write was there already.
    """

    place: Place
    begun: float
    was_finished: bool

    @property
    def state(self) -> CellState:
        """How far it is now."""
        started = _read_time(self.place.config)
        if is_held(self.place.lock):
            return CellState.RUNNING
        if started is None or started < self.begun:
            return CellState.DONE if self.was_finished else CellState.WAITING
        if self.place.find_recorded_failure() is not None:
            return CellState.FAILED
        written = self.place.result.exists() and (self.was_finished or self.seconds is not None)
        return CellState.DONE if written else CellState.LOST

    @property
    def seconds(self) -> float | None:
        """How long it took, if it was computed and not read."""
        written = _read_time(self.place.account or self.place.result)
        started = _read_time(self.place.config)
        if written is None or started is None or not self.begun <= started <= written:
            return None
        return written - started

    @property
    def started(self) -> float | None:
        """When it was last begun, by the clock of the file system."""
        return _read_time(self.place.config)


def record_sweep(folder: Path, places: Sequence[Place]) -> None:
    """Write down the cells of a sweep, each in the folder of its study, or else in ``folder``.

    Cells of other sweeps stay, if they have begun.
    """
    by_folder: dict[Path, list[Place]] = {}
    for place in places:
        by_folder.setdefault(place.study or folder, []).append(place)
    for home, cells in by_folder.items():
        lock = home / f".{SWEEP}.lock"
        with hold_alone(lock, str(home / SWEEP)):
            lock.touch()
            begun = lock.stat().st_mtime
            new = [SweptCell(place, begun, place.is_finished()) for place in cells]
            ours = {place.result for place in cells}
            old = [
                cell
                for cell in (_read_cells(home) if (home / SWEEP).is_file() else ())
                if cell.place.result not in ours and cell.state is not CellState.WAITING
            ]
            write_json(home / SWEEP, {"cells": [_describe(cell, home) for cell in (*old, *new)]})


def read_sweep(folder: Path) -> list[SweptCell]:
    """The cells of the sweeps that wrote into a folder.

    Raises:
        InputError: none did.
    """
    if not (folder / SWEEP).is_file():
        raise InputError(f"status needs the folder of a sweep, with {SWEEP}, got {str(folder)!r}")
    return list(_read_cells(folder))


def _describe(cell: SweptCell, home: Path) -> JsonObject:
    paths = {name: getattr(cell.place, name) for name in _FILES}
    files = {name: path and os.path.relpath(path, home) for name, path in paths.items()}
    return {**files, "begun": cell.begun, "was_finished": cell.was_finished}


def _read_cells(home: Path) -> Iterator[SweptCell]:
    try:
        record = json.loads((home / SWEEP).read_text(encoding="utf-8"))
        for cell in record["cells"]:
            files = [Path(os.path.normpath(home / cell[name])) for name in _FILES[:-1]]
            account = cell["account"] and Path(os.path.normpath(home / cell["account"]))
            result, config, failure, lock = files
            place = Place(result, config, failure, lock, account=account)
            yield SweptCell(place, cell["begun"], cell["was_finished"])
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{home / SWEEP} must be as a sweep wrote it, got {error!r}") from None


def _read_time(path: Path) -> float | None:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return None
