"""One process at a time: locks that the system takes from a process that ends, however it ends."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import current_process
from pathlib import Path

from recross.errors import InputError, RunError

logger = logging.getLogger(__name__)

_NO_LOCKS = {errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOLCK, errno.EINVAL}
"""What ``flock`` answers on a file system that has none."""


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

    A process that has to wait says for which one, and for what ``work``. The lock ends with its
    process, so that a killed one stops nobody. A process that runs its parent's script again
    refuses to wait: the parent has the lock and waits for this process.

    Raises:
        InputError: the folder cannot be written, or its file system has no locks.
        RunError: a script starts processes that run it again from its top.
    """
    lock = lock.absolute()
    if lock in _held.times:
        yield
        return
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
def try_alone(lock: Path) -> Iterator[bool]:
    """Hold a lock if nobody has it, without waiting; whether it is held."""
    descriptor = _open_lock(lock)
    try:
        yield _try_lock(descriptor, lock)
    finally:
        os.close(descriptor)


def _acquire(lock: Path, work: str) -> int:
    while not os.fstat(descriptor := _wait_for(lock, work)).st_nlink:
        os.close(descriptor)  # it was removed with what it stood for
    return descriptor


def _open_lock(lock: Path) -> int:
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        return os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise InputError(
            f"folder must be one that can be written, got {str(lock.parent)!r}: {error.strerror}"
        ) from None


def _wait_for(lock: Path, work: str) -> int:
    descriptor = _open_lock(lock)
    try:
        if not _try_lock(descriptor, lock):
            _refuse_to_wait_for_parent()
            logger.info("waiting for process %s: %s", _read_owner(descriptor), work)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _try_lock(descriptor: int, lock: Path) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        raise InputError(
            "folder must lie on a file system that has locks (flock), got"
            f" {str(lock.parent)!r}: {error.strerror}; choose a local one, as in output=FOLDER"
        ) from None
    return True


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
