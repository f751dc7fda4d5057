"""Finished artefacts that experiments share: made once, whole or not at all, by any process."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import Field, dataclass, field, fields, is_dataclass
from multiprocessing import current_process
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

from filelock import FileLock, Timeout

from recross.errors import RunError

DEFAULT_STORE = Path("outputs/store")
MANIFEST = "manifest.json"
READ = {"read": True}
"""Metadata of a field that names a hub id or a folder that will be read."""
HANDED_OVER = {"handed_over": True}
"""Metadata of a field that is filled from the session when work begins, never from a config."""

T = TypeVar("T")


@runtime_checkable
class ChangesScores(Protocol):
    """A value handed over to a part that knows what of it changes what the part computes."""

    @property
    def identity(self) -> Mapping[str, str]:
        """What changes scores, by name."""


def handed_over(default: T) -> T:
    """A field of a part for something that the session has: ``hardware``, ``store``, ``cache``."""
    declared: T = field(default=default, metadata=HANDED_OVER)
    return declared


def describe(value: Any) -> Any:
    """What a value is, in JSON: a dataclass by its class and the fields that make it what it is.

    Fields declared ``compare=False`` are left out; of what the session hands over, only what says
    that it changes scores (hardware: its precision and back-end) is described.
    Files and folders that are read, paths and fields declared with ``metadata=READ``, are described
    with the state of their content, so that nothing made from an older state is taken for theirs.
    """
    if is_dataclass(value) and not isinstance(value, type):
        kind = type(value)
        named = {
            declared.name: _field(declared, getattr(value, declared.name))
            for declared in fields(value)
            if declared.compare and _tells(declared, getattr(value, declared.name))
        }
        return {"class": f"{kind.__module__}.{kind.__qualname__}", **named}
    if isinstance(value, Mapping):
        return {str(key): describe(item) for key, item in value.items()}
    if isinstance(value, frozenset | set):
        return sorted(describe(item) for item in value)
    if isinstance(value, list | tuple):
        return [describe(item) for item in value]
    if isinstance(value, Path):
        return _with_state(value)
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise TypeError(f"cannot describe a {type(value).__name__}: {value!r}")


def is_handed_over(declared: Field[Any]) -> bool:
    """Whether a field is filled from the session."""
    return bool(declared.metadata.get("handed_over"))


def _tells(declared: Field[Any], value: Any) -> bool:
    return not is_handed_over(declared) or isinstance(value, ChangesScores)


def _field(declared: Field[Any], value: Any) -> Any:
    if is_handed_over(declared):
        return describe(value.identity)
    return _with_state(Path(value)) if declared.metadata.get("read") else describe(value)


def _with_state(path: Path) -> str:
    """The path and, where it exists, a digest of the names, sizes and times of its files."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    states = [(str(f), f.stat().st_size, f.stat().st_mtime_ns) for f in files if f.is_file()]
    if not states:
        return str(path)
    return f"{path} ({hashlib.sha256(repr(states).encode()).hexdigest()[:16]})"


def fingerprint(*parts: Any) -> str:
    """Sixteen hexadecimal digits that differ when any described part differs."""
    text = json.dumps(describe(parts), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def file_hash(*paths: Path) -> str:
    """Hash of the contents of files, in the order given."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()[:16]


def write_json(path: Path, value: Any) -> None:
    """Write JSON that appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial-{os.getpid()}")
    partial.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    partial.replace(path)


@dataclass(frozen=True)
class Store:
    """Artefacts by kind and fingerprint, ``root/<kind>/<fingerprint>/``, each with a manifest."""

    root: Path = DEFAULT_STORE

    def artefact(
        self,
        kind: str,
        identity: Mapping[str, Any],
        make: Callable[[Path], Mapping[str, Any]],
        resumable: bool = False,
    ) -> Path:
        """Return the artefact's folder, making it first if no finished one exists.

        ``make`` fills a fresh folder and returns what else the manifest shall say. Processes that
        want the same artefact wait for the one that makes it; a crash leaves nothing behind that
        could be taken for a finished artefact. ``resumable``: ``make`` is handed the folder as an
        interrupted one of the same identity left it, and knows itself which part of it is whole.
        """
        key = fingerprint(kind, identity)
        folder = self.root / kind / key
        if (folder / MANIFEST).is_file():
            return folder
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _held(folder.with_name(f".{key}.lock")):
            if not (folder / MANIFEST).is_file():
                self._make(folder, identity, make, resumable)
        return folder

    def _make(
        self,
        folder: Path,
        identity: Mapping[str, Any],
        make: Callable[[Path], Mapping[str, Any]],
        resumable: bool,
    ) -> None:
        partial = folder.with_name(f".{folder.name}.partial")
        shutil.rmtree(folder, ignore_errors=True)
        if not resumable:
            shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(exist_ok=resumable)
        facts = make(partial)
        write_json(partial / MANIFEST, {"identity": describe(identity), **facts})
        partial.replace(folder)


@contextmanager
def _held(lock: Path) -> Iterator[None]:
    """Hold a lock; in a process that runs its parent's script again, refuse to wait for it.

    The parent has the lock and waits for this process, so that both would wait for ever.
    """
    runs_script_again = getattr(current_process(), "_inheriting", False)
    held = FileLock(lock, timeout=0 if runs_script_again else -1)
    try:
        held.acquire()
    except Timeout:
        raise RunError(
            "a script that starts processes must do its work under"
            f' if __name__ == "__main__":, got {sys.argv[0]}, which they run again from its top'
        ) from None
    try:
        yield
    finally:
        held.release()


def read_manifest(folder: Path) -> dict[str, Any]:
    """What made an artefact."""
    manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    return manifest
