"""Which locks hold among all processes that use a folder: the system's, or those of plain files."""

from __future__ import annotations

import errno
import fcntl
import os
from functools import cache
from pathlib import Path
from typing import NamedTuple

from recross.errors import InputError

LOCKS_VARIABLE = "RECROSS_LOCKS"
"""Names the kind of lock, ``flock`` or ``files``, where what is found out is not right."""
LOCK_KINDS = ("auto", "flock", "files")

_NO_LOCKS = {errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOLCK, errno.EINVAL}
"""What ``flock`` answers on a file system that has none."""
_ONE_MACHINE = {
    "nfs": ("nolock", "local_lock=flock", "local_lock=all"),
    "nfs4": ("nolock", "local_lock=flock", "local_lock=all"),
    "lustre": ("localflock",),
    "fuse.sshfs": ("",),
    "cifs": ("nobrl",),
    "smb3": ("nobrl",),
}
"""Options of mounts with which ``flock`` is known to one machine only; ``""`` means any."""


class Mount(NamedTuple):
    """Where a file system stands, its type and the options it was mounted with."""

    place: str
    type: str
    options: frozenset[str]

    @property
    def locks_for_one_machine(self) -> bool:
        """Whether processes of other machines do not notice ``flock`` here."""
        signs = _ONE_MACHINE.get(self.type, ())
        return any(not sign or sign in self.options for sign in signs)


def uses_claims(folder: Path) -> bool:
    """Whether locks in a folder are plain files, because ``flock`` does not hold there for all.

    Raises:
        InputError: the environment names a kind that there is not.
    """
    kind = os.environ.get(LOCKS_VARIABLE, "auto")
    if kind not in LOCK_KINDS:
        raise InputError(f"{LOCKS_VARIABLE} must be one of {', '.join(LOCK_KINDS)}, got {kind!r}")
    return kind == "files" or (kind == "auto" and _lacks_flock(folder))


@cache
def _lacks_flock(folder: Path) -> bool:
    mount = find_mount(folder, _read_mounts())
    if mount is not None and mount.locks_for_one_machine:
        return True
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno in _NO_LOCKS
    finally:
        os.close(descriptor)
    return False


def find_mount(folder: Path, mounts: str) -> Mount | None:
    """The mount that a folder lies in, by the lines of ``/proc/self/mounts``."""
    at = os.path.realpath(folder)
    found = None
    for line in mounts.splitlines():
        _, place, type_, options, *_ = line.split(" ")
        place = place.encode().decode("unicode_escape")  # a space is written \040
        within = at == place or at.startswith(place.rstrip("/") + "/")
        if within and (found is None or len(place) >= len(found.place)):
            found = Mount(place, type_, frozenset(options.split(",")))
    return found


def _read_mounts() -> str:
    try:
        return Path("/proc/self/mounts").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:  # a system that has no such file
        return ""
