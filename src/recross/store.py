"""Finished artefacts that experiments share: made once, whole or not at all, by any process."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import current_process
from pathlib import Path

from filelock import FileLock, Timeout

from recross.errors import RunError
from recross.parts.identity import describe, fingerprint
from recross.records import Json, JsonObject
from recross.writing.whole_files import write_whole

DEFAULT_STORE = Path("outputs/store")
MANIFEST = "manifest.json"


def hash_files(*paths: Path) -> str:
    """Hash of the contents of files, in the order given."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()[:16]


def write_json(path: Path, value: Json) -> None:
    """Write JSON that appears whole or not at all."""
    text = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    write_whole(path, text, errors="backslashreplace")  # half a character, as JSON escapes it


@dataclass(frozen=True)
class Store:
    """Artefacts by kind and fingerprint, ``root/<kind>/<fingerprint>/``, each with a manifest."""

    root: Path = DEFAULT_STORE

    def find(self, kind: str, identity: JsonObject) -> Path | None:
        """The folder of a finished artefact; ``None`` where the store has none."""
        folder = self.root / kind / fingerprint(kind, identity)
        return folder if (folder / MANIFEST).is_file() else None

    def artefact(
        self,
        kind: str,
        identity: JsonObject,
        make: Callable[[Path], JsonObject],
        resumable: bool = False,
    ) -> Path:
        """Return the artefact's folder, making it first if no finished one exists.

        ``make`` fills a fresh folder and returns extra entries for the manifest. Processes that
        want the same artefact wait for the one that makes it; a crash leaves nothing behind that
        could be taken for a finished artefact. ``resumable``: ``make`` is handed the folder as an
        interrupted one of the same identity left it, and knows itself which part of it is whole.
        """
        key = fingerprint(kind, identity)
        folder = self.root / kind / key
        if (folder / MANIFEST).is_file():
            return folder
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _hold(folder.with_name(f".{key}.lock")):
            if not (folder / MANIFEST).is_file():
                self._make(folder, identity, make, resumable)
        return folder

    def _make(
        self,
        folder: Path,
        identity: JsonObject,
        make: Callable[[Path], JsonObject],
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
def _hold(lock: Path) -> Iterator[None]:
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


def read_manifest(folder: Path) -> dict[str, Json]:
    """Read the manifest of an artefact: what it was made from."""
    manifest: dict[str, Json] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    return manifest
