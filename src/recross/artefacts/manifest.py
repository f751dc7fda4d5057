"""The manifest of a folder: what it was made from, and the size and checksum of each file."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import xxhash

from recross.records import Json, JsonObject
from recross.writing.whole_files import write_whole

MANIFEST = "manifest.json"
CHECKSUM = "xxh3_128"

_SEAL = b',\n  "checksum": "'
"""Begins the last line but one: the checksum of all that stands before it."""
BYTES_AT_ONCE = 1 << 20


class _FileState(NamedTuple):
    """What the system says of a file without reading it; another one once it was written to."""

    name: str
    size: int
    inode: int
    changed_ns: int


_States = tuple[_FileState, ...]
_verified: dict[Path, _States] = {}
"""The files of manifests that this process has verified or written, as they were then."""


def seal_folder(
    folder: Path,
    facts: JsonObject,
    names: Iterable[str] | None = None,
    manifest: str = MANIFEST,
) -> None:
    """Write the manifest of a folder whose other files are finished.

    It holds ``facts`` and what each of the files is: of all of them, or of those named.
    """
    listed = sorted(_list_files(folder) if names is None else names)
    files = {name: sum_up(folder / name) for name in listed}
    text = json.dumps({**facts, "files": files}, indent=2, ensure_ascii=False)
    head = text.removesuffix("\n}")
    digest = _digest(head.encode("utf-8", "surrogatepass"))
    tail = f'{_SEAL.decode()}{digest}"\n}}\n'
    write_whole(folder / manifest, head + tail, errors="surrogatepass")


def unseal_folder(folder: Path) -> None:
    """Take a folder's manifest away, before its files change."""
    (folder / MANIFEST).unlink(missing_ok=True)


def holds_files_of(folder: Path, sealed: Path) -> bool:
    """Whether a folder holds the files of a sealed one, each as it was written there."""
    manifest = read_sealed(sealed)
    files: dict[str, JsonObject] = {} if manifest is None else manifest["files"]
    return bool(files) and all(
        (folder / name).is_file() and sum_up(folder / name) == facts
        for name, facts in files.items()
    )


def note_verified(folder: Path, written: Path) -> None:
    """Take the files of a folder as verified that were just sealed at the place ``written``."""
    manifest = read_sealed(written)
    if manifest is not None:
        _verified[_key(folder, MANIFEST)] = _read_states(written, manifest["files"])


def find_damage(folder: Path, manifest: str = MANIFEST, unread: tuple[str, ...] = ()) -> str | None:
    """What is wrong with a sealed folder, naming the file; ``None``: all is as it was written.

    The sizes of all files are compared at every call; their contents once in each process, and
    again once the system says that one was written to. Files whose names begin with one of
    ``unread`` are not looked at.
    """
    try:
        return _compare(folder, manifest, unread)
    except FileNotFoundError as error:
        return f"{Path(error.filename).relative_to(folder)} is missing"
    except OSError as error:
        return f"{error.filename} cannot be read: {error.strerror}"


def _compare(folder: Path, manifest: str, unread: tuple[str, ...]) -> str | None:
    sealed = read_sealed(folder, manifest)
    if sealed is None:
        return f"{manifest} is damaged or of an older version"
    files: dict[str, JsonObject] = {
        name: facts for name, facts in sealed["files"].items() if not name.startswith(unread)
    }
    states = _read_states(folder, files, manifest)
    for state in states[1:]:
        if state.size != files[state.name]["bytes"]:
            return f"{state.name} has {state.size} bytes for {files[state.name]['bytes']}"
    if _verified.get(_key(folder, manifest)) != states:
        for name, facts in files.items():
            if sum_up(folder / name) != facts:
                return f"{name} is not what was written"
        _verified[_key(folder, manifest)] = states
    return None


def forget_verified() -> None:
    """Verify everything anew, as another process would."""
    _verified.clear()


def read_sealed(folder: Path, manifest: str = MANIFEST) -> dict[str, Json] | None:
    """The manifest of a folder; ``None`` if it is not what was written."""
    head, seal, tail = (folder / manifest).read_bytes().rpartition(_SEAL)
    if not seal or tail != _digest(head).encode() + b'"\n}\n':
        return None
    facts: dict[str, Json] = json.loads(head.decode("utf-8", "surrogatepass") + "\n}")
    return facts


def _key(folder: Path, manifest: str) -> Path:
    return (folder / manifest).absolute()


def _list_files(folder: Path) -> list[str]:
    every = (path for path in folder.rglob("*") if path.is_file())
    return [path.relative_to(folder).as_posix() for path in every if path != folder / MANIFEST]


def _read_states(folder: Path, names: Iterable[str], manifest: str = MANIFEST) -> _States:
    return tuple(_read_state(folder, name) for name in (manifest, *names))


def _read_state(folder: Path, name: str) -> _FileState:
    state: os.stat_result = (folder / name).stat()
    return _FileState(name, state.st_size, state.st_ino, state.st_mtime_ns)


def sum_up(path: Path) -> dict[str, Any]:
    """The size of a file and a checksum of its content."""
    digest, size, buffer = xxhash.xxh3_128(), 0, memoryview(bytearray(BYTES_AT_ONCE))
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            digest.update(buffer[:count])
            size += count
    return {"bytes": size, CHECKSUM: digest.hexdigest()}


def _digest(content: bytes) -> str:
    return str(xxhash.xxh3_128_hexdigest(content))
