"""Where a command leaves its files, by which those who started it elsewhere know how it went."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from recross.artefacts.locks import hold_alone
from recross.errors import InputError
from recross.experiment.readiness import CommandNeeds
from recross.machine.hardware import Hardware
from recross.machine.nodes import read_node_rank
from recross.parts.secrets import mask_secrets
from recross.records import JsonObject
from recross.store import write_json

logger = logging.getLogger(__name__)


def check_apart(store: Path, study: Path, folder: Path) -> None:
    """Refuse an experiment's folder that is the store's, or holds it, and files for folders.

    Raises:
        InputError: what the experiment writes and what the store keeps would lie in one place, or
            a file lies where a folder must.
    """
    kept, inner = store.absolute(), folder.absolute()
    if kept in (study.absolute(), inner) or inner in kept.parents:
        raise InputError(
            f"study and name must not be a folder of the store {str(store)!r}, got {str(folder)!r}"
        )
    check_is_folder("output", folder)
    check_is_folder("store", store)


def check_is_folder(argument: str, folder: Path) -> None:
    """Refuse a folder that cannot be made, because a file lies on its way.

    Raises:
        InputError: naming the argument and the file.
    """
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not there.is_dir():
        raise InputError(f"{argument} must be a folder, got the file {str(there)!r}")


@dataclass(frozen=True)
class Place:
    """The files of one command; no two cells of a sweep have the same ``result``.

    ``result`` is the file or folder that says that the command is done. ``study`` is the folder
    whose table has a row for it, if any has. ``is_finished`` says whether the result is there that
    this command would write: no failure is recorded over it, even where both share a file.
    ``account`` is the file that says what of the input became part of the result, if the result
    does not say it itself.
    """

    result: Path
    config: Path
    failure: Path
    lock: Path
    study: Path | None = None
    is_finished: Callable[[], bool] = field(default=lambda: False, compare=False)
    account: Path | None = None

    @classmethod
    def of_run_file(cls, path: Path) -> Place:
        """The place of a command that writes one run file: the others lie beside it.

        Raises:
            InputError: it is a folder, or a file lies where its folder must.
        """
        if path.is_dir():
            raise InputError(f"run_file must be a file, got the folder {str(path)!r}")
        check_is_folder("output", path.parent)
        return cls(
            result=path,
            config=path.with_suffix(".yaml"),
            failure=path.with_suffix(".failed.json"),
            lock=path.with_name(f".{path.name}.lock"),
            account=path.with_suffix(".account.json"),
        )

    def on_node(self, hardware: Hardware) -> Place:
        """The place on this node: one that is not the first writes no result, and says so beside.

        What it leaves there belongs to no study.
        """
        if hardware.is_first_node:
            return self
        end = f".node={read_node_rank(hardware.nodes)}"
        result, config, failure, lock = (
            path.with_name(f".{path.name.lstrip('.')}{end}")
            for path in (self.result, self.config, self.failure, self.lock)
        )
        return Place(result=result, config=config, failure=failure, lock=lock)

    def record_part(self) -> JsonObject:
        """Record that the work was shared, on a node that is not the first."""
        record: JsonObject = {"status": "took part"}
        write_json(self.result, record)
        return record

    def alone(self) -> AbstractContextManager[None]:
        """Write here alone among all processes; one that has to wait says for which."""
        return hold_alone(self.lock, str(self.result))

    def record_failure(self, names: JsonObject, error: Exception) -> None:
        """Record that the command failed, and why; beside the result, if that is finished."""
        reason = mask_secrets(f"{type(error).__name__}: {error}")
        path = self._beside if self.failure == self.result and self.is_finished() else self.failure
        try:
            write_json(path, {**names, "status": "failed", "error": reason})
        except OSError:  # no space: what needs none says that it failed
            logger.error("%s", reason)
            if path == self.result:
                path.unlink(missing_ok=True)
            else:
                path.touch()

    def forget_failure(self) -> None:
        """Remove the record of an earlier failure, so that one that is found later is new."""
        for path in (self.failure, self._beside):
            if _read_failure(path) is not None:
                with self.alone():  # another process may just replace it by a result
                    if _read_failure(path) is not None:
                        path.unlink()

    def find_failure(self) -> str | None:
        """Why the command failed, as far as its files tell; ``None`` if it is done."""
        absent = None if self.result.exists() else "no result was written"
        return self.find_recorded_failure() or absent

    def find_recorded_failure(self) -> str | None:
        """Why the command failed, if that was recorded."""
        return _read_failure(self.failure) or _read_failure(self._beside)

    @property
    def _beside(self) -> Path:
        """Where a failure is recorded that must not replace a finished result."""
        return self.result.with_suffix(".failed.json")


def _read_failure(path: Path) -> str | None:
    """What a record says why a command failed; a file that is none says nothing."""
    try:
        if not (text := path.read_text(encoding="utf-8")):
            return "there was no space to write why"
        record = json.loads(text)
        return str(record["error"]) if record.get("status") == "failed" else None
    except (OSError, ValueError, AttributeError, KeyError):
        return None


class Command(Protocol):
    """What a command of the console script does: built and checked, and yet to be run."""

    @property
    def place(self) -> Place:
        """Where the files that the command writes lie."""

    @property
    def needs(self) -> CommandNeeds:
        """What will be used, and must be there before any work."""

    @property
    def summary(self) -> str:
        """One line about what was done."""

    def run(self) -> object:
        """Do the work, and return what came out."""

    def measure_dev(self) -> float | None:
        """What a search optimises, once the work is done: the measure on dev, if there is one."""
