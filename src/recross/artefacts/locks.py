"""One process at a time: locks that are taken from a process that ends, however it ends.

The system's where it has them for all who use a folder, else plain files (``claims``).
"""

from __future__ import annotations

import fcntl
import logging
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import current_process
from pathlib import Path

from recross.artefacts.claims import Claim, ClaimState, read_claim
from recross.artefacts.lock_kinds import uses_claims
from recross.errors import InputError, RunError

logger = logging.getLogger(__name__)


class _Held(threading.local):
    """How often this thread holds each lock."""

    def __init__(self) -> None:
        self.times: dict[Path, int] = {}


_held = _Held()
_open: set[int] = set()
"""Descriptors of the locks that this process holds; a child of ``fork`` must not keep them."""


@contextmanager
def hold_alone(lock: Path, work: str) -> Iterator[None]:
    """Hold a lock among all processes and threads; the thread that holds it may hold it again.

    A process that has to wait says for which one, and for what ``work``; nothing is said of work
    without a name. The lock ends with its process, so that a killed one stops nobody; on a file
    system where locks are plain files, another machine notices that after a minute. A process
    that runs its parent's script again refuses to wait: the parent has the lock and waits for it.

    Raises:
        InputError: the folder cannot be written.
        RunError: a script starts processes that run it again from its top, or a lock was lost.
    """
    lock = lock.absolute()
    if lock in _held.times:
        yield
        return
    with _hold_claim(lock, work) if _prepare(lock) else _hold_flock(lock, work):
        yield


@contextmanager
def _hold_flock(lock: Path, work: str) -> Iterator[None]:
    descriptor = _acquire(lock, work)
    _open.add(descriptor)
    _held.times[lock] = descriptor
    try:
        yield
    finally:
        del _held.times[lock]
        _open.discard(descriptor)
        fcntl.flock(descriptor, fcntl.LOCK_UN)  # a child that was just forked has it still open
        os.close(descriptor)


@contextmanager
def _hold_claim(lock: Path, work: str) -> Iterator[None]:
    def wait(found: ClaimState) -> None:
        _say_waiting(found.process, work)

    claim = Claim(lock)
    with _explaining(lock):
        claim.take(wait)
    _held.times[lock] = 0
    try:
        yield
    finally:
        del _held.times[lock]
        claim.give_up()


@contextmanager
def try_alone(lock: Path) -> Iterator[bool]:
    """Hold a lock if nobody has it, without waiting; whether it is held."""
    if _prepare(lock):
        claim = Claim(lock)
        is_held = claim.try_to_take()
        try:
            yield is_held
        finally:
            if is_held:
                claim.give_up()
        return
    descriptor = _open_lock(lock)
    try:
        yield _try_lock(descriptor)
    finally:
        os.close(descriptor)


def is_held(lock: Path) -> bool:
    """Whether a process has a lock now, as far as its file tells."""
    if not lock.exists():
        return False
    if uses_claims(lock.parent):
        found = read_claim(lock)
        return found is not None and not found.is_abandoned
    with try_alone(lock) as is_free:
        return not is_free


def _prepare(lock: Path) -> bool:
    """Make a lock's folder, and say whether locks are claims there.

    Their file, whose time says when it was last asked for, is made, too.
    """
    with _explaining(lock):
        lock.parent.mkdir(parents=True, exist_ok=True)
        if is_claimed := uses_claims(lock.parent):
            lock.touch()
        return is_claimed


@contextmanager
def _explaining(lock: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(
            f"folder must be one that can be written, got {str(lock.parent)!r}: {error.strerror}"
        ) from None


def _acquire(lock: Path, work: str) -> int:
    while not os.fstat(descriptor := _wait_for(lock, work)).st_nlink:
        os.close(descriptor)  # it was removed with what it stood for
    return descriptor


def _open_lock(lock: Path) -> int:
    with _explaining(lock):
        return os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)


def _wait_for(lock: Path, work: str) -> int:
    descriptor = _open_lock(lock)
    try:
        if not _try_lock(descriptor):
            _say_waiting(_read_owner(descriptor), work)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _say_waiting(process: str, work: str) -> None:
    _refuse_to_wait_for_parent()
    if work:
        logger.info("waiting for process %s: %s", process, work)


def _refuse_to_wait_for_parent() -> None:
    if getattr(current_process(), "_inheriting", False):
        raise RunError(
            "a script that starts processes must do its work under"
            f' if __name__ == "__main__":, got {sys.argv[0]}, which they run again from its top'
        )


def _read_owner(descriptor: int) -> str:
    return os.pread(descriptor, 20, 0).decode("ascii", "replace").strip() or "unknown"


def _forget_parents_locks() -> None:
    """A forked child closes its parent's locks, which would outlive the parent with it."""
    for descriptor in _open:
        os.close(descriptor)
    _open.clear()
    _held.times.clear()


os.register_at_fork(after_in_child=_forget_parents_locks)
