"""The files of the score cache that this process has open: one for each folder at most."""

from __future__ import annotations

import errno
import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recross.errors import InputError, RunError
from recross.inference.cache.score_file import (
    DATA,
    FILE_ERRORS,
    ScoreFile,
    hold_lock,
    identify_file,
)

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""What a disk without room, or a limit on it, says; the last one where a part was written."""


@contextmanager
def use_file(folder: Path, max_bytes: int) -> Iterator[ScoreFile]:
    """Use the file in a folder, opened once by each process and again after it was cleared.

    Raises:
        InputError: the folder cannot be made, read or written.
        RunError: the disk is full.
    """
    with _using, _explaining_errors(folder):
        file = _OPEN.get(folder.absolute())
        if file is None or file.identity != identify_file(folder):
            _close(folder)
            with hold_lock(folder):
                file = _OPEN[folder.absolute()] = ScoreFile.open(folder, max_bytes)
        file.allow(max_bytes)
        yield file


def exists(folder: Path) -> bool:
    """Whether anything was ever kept here."""
    return (folder / DATA).is_file()


def measure_file(folder: Path) -> int:
    """Size of the file, 0 if there is no file."""
    return (folder / DATA).stat().st_size if exists(folder) else 0


def remove(folder: Path) -> None:
    """Delete the file; processes that have it open make a new one at their next use."""
    with _using, _explaining_errors(folder), hold_lock(folder):
        # Moved first: a folder appears and disappears whole, its lock always beside its data.
        folder.rename(folder.with_name(f".{folder.name}.cleared-{os.getpid()}-{time.time_ns()}"))
        _close(folder)
        for cleared in folder.parent.glob(f".{folder.name}.cleared-*"):
            shutil.rmtree(cleared)


_OPEN: dict[Path, ScoreFile] = {}
_using = threading.RLock()
"""One thread of a process at a time opens, uses or closes files."""


def _close(folder: Path) -> None:
    if file := _OPEN.pop(folder.absolute(), None):
        file.environment.close()


def _close_before_fork() -> None:
    """Close every file before a fork: a child may neither use nor close its parent's."""
    _using.acquire()
    for folder in list(_OPEN):
        _close(folder)


os.register_at_fork(
    before=_close_before_fork, after_in_parent=_using.release, after_in_child=_using.release
)


@contextmanager
def _explaining_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except FILE_ERRORS as error:
        is_full = any(os.strerror(code) in str(error) for code in FULL)
        raise (RunError if is_full else InputError)(
            f"score cache must be a sound folder on a local disk with room to write,"
            f" got {str(folder)!r}: {error}"
        ) from error
