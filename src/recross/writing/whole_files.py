"""Files that appear whole or not at all, whatever stops their writer."""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PARTIAL = ".partial"


@contextmanager
def replace_file(path: Path) -> Iterator[Path]:
    """Hand out a path beside ``path`` to write to; what lies there then takes its place.

    It does so only when it is whole and on the disk. After a failure the file is as it was before,
    and nothing is left beside it; what a writer left that was killed is removed by the next one.

    Raises:
        OSError: the file cannot be written; the error names ``path``.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_abandoned(path)
        partial, held = _begin(path)
        try:
            yield partial
            os.fsync(held)
            partial.replace(path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
        finally:
            os.close(held)  # which gives up the lock
        sync_folder(path.parent)
    except OSError as error:
        raise _name_file(error, path) from error


def write_whole(path: Path, text: str, errors: str = "strict") -> None:
    """Write a text as UTF-8; line ends are written as they are."""
    write_lines_whole(path, (text,), errors)


def write_lines_whole(path: Path, lines: Iterable[str], errors: str = "strict") -> None:
    """Write lines, each with its own end, as they come."""
    with (
        replace_file(path) as partial,
        partial.open("w", encoding="utf-8", errors=errors, newline="") as file,
    ):
        file.writelines(lines)


def append_whole(path: Path, text: str) -> None:
    """Add a text to the end of a file: all of it, or nothing where it does not fit.

    Raises:
        OSError: it cannot be written; the error names ``path``.
    """
    try:
        with path.open("ab", buffering=0) as file:
            end, left = file.tell(), text.encode("utf-8", "backslashreplace")
            try:
                while left:
                    left = left[file.write(left) :]
            except BaseException:
                file.truncate(end)
                raise
    except OSError as error:
        raise _name_file(error, path) from error


def reserve_space(path: Path, size: int | None = None) -> None:
    """Take the space of a file that is to be mapped into memory, at least all that it has now.

    Where a disk is full, to write into a mapped file without its space ends the process.

    Raises:
        OSError: there is no space; the error names ``path``.
    """
    try:
        opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            wanted = os.fstat(opened).st_size if size is None else size
            if wanted:
                os.posix_fallocate(opened, 0, wanted)
        finally:
            os.close(opened)
    except OSError as error:
        raise _name_file(error, path) from error


def share_files(folder: Path) -> None:
    """Let group and others read and write every file below a folder as far as the umask lets them.

    safetensors writes files for its user alone.
    """
    probe, opened = _begin(folder / "mode")  # only a new file says what the umask is
    allowed = os.fstat(opened).st_mode & 0o666
    probe.unlink()
    os.close(opened)
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            mode = path.stat().st_mode
            if mode & allowed != allowed:
                path.chmod(mode | allowed)


def _begin(path: Path) -> tuple[Path, int]:
    """A new file beside ``path``, and its descriptor, whose lock says that its writer lives."""
    while True:
        partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}{_PARTIAL}")
        held = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        _lock(held)
        if os.fstat(held).st_nlink:  # nobody took it for abandoned before it was locked
            return partial, held
        os.close(held)


def remove_abandoned(path: Path) -> None:
    """Remove what writers of this file left that were killed; what a living one writes stays."""
    for partial in path.parent.glob(f".{_escape_glob(path.name)}.*{_PARTIAL}"):
        with suppress(OSError):
            held = os.open(partial, os.O_WRONLY | os.O_CLOEXEC)
            try:
                if _lock(held):
                    partial.unlink(missing_ok=True)
            finally:
                os.close(held)


def _lock(file: int) -> bool:
    """Whether the lock was free; a file system without locks has none to give."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _escape_glob(name: str) -> str:
    return "".join(f"[{sign}]" if sign in "*?[" else sign for sign in name)


def sync_folder(folder: Path) -> None:
    """Put on the disk which files a folder holds, where its file system can be asked to."""
    with suppress(OSError):
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def _name_file(error: OSError, path: Path) -> OSError:
    """The error with the file's own name, where the system names none or the partial one."""
    if error.errno is None or str(error.filename or _PARTIAL).endswith(_PARTIAL):
        return OSError(error.errno, error.strerror or str(error), str(path))
    return error
