"""Finished artefacts that experiments share: made once, whole or not at all, by any process."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import logging
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from recross.artefacts.folders import PARTIAL, remove_partials, sync_tree
from recross.artefacts.locks import hold_alone, try_alone
from recross.artefacts.manifest import (
    MANIFEST,
    find_damage,
    note_verified,
    read_sealed,
    seal_folder,
)
from recross.errors import RunError
from recross.parts.identity import describe, fingerprint
from recross.records import Json, JsonObject
from recross.writing.progress import working
from recross.writing.whole_files import sync_folder, write_whole

logger = logging.getLogger(__name__)

DEFAULT_STORE = Path("outputs/store")


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
        """The folder of a finished and sound artefact; ``None`` where the store has none."""
        folder = self.root / kind / fingerprint(kind, identity)
        if not folder.is_dir():
            return None
        if (damage := find_damage(folder)) is not None:
            _say_unused(folder, damage)
        return folder if damage is None else None

    def unfinished(self, kind: str, identity: JsonObject) -> Path:
        """Where an artefact is while it is being made, or was when that was interrupted."""
        return _name_partial(self.root / kind / fingerprint(kind, identity))

    def artefact(
        self,
        kind: str,
        identity: JsonObject,
        make: Callable[[Path], JsonObject],
        resumable: bool = False,
    ) -> Path:
        """Return the artefact's folder, making it first if no finished and sound one exists.

        ``make`` fills a fresh folder and returns extra entries for the manifest. Processes that
        want the same artefact wait for the one that makes it; a crash leaves nothing behind that
        could be taken for a finished artefact. What is found is verified: an artefact with a file
        that is not as it was written is made again, and that is said. ``resumable``: ``make`` is
        handed the folder as an interrupted one of the same identity left it, and knows itself
        which part of it is whole.

        Raises:
            InputError: the store cannot be written, or lies where there are no locks.
        """
        key = fingerprint(kind, identity)
        folder = self.root / kind / key
        lock = folder.with_name(f".{key}.lock")
        if folder.is_dir() and find_damage(folder) is None:
            with suppress(OSError):  # of a store that can only be read
                os.utime(lock)  # says when the artefact was last of use
            return folder
        with hold_alone(lock, f"{kind}/{key}"):
            if not _keep_sound(folder):
                _make(folder, identity, make, resumable)
        return folder

    def artefact_if_free(
        self, kind: str, identity: JsonObject, make: Callable[[Path], JsonObject]
    ) -> Path | None:
        """The same, unless another process has claimed to make it: then ``None``, at once."""
        claim = self.root / kind / f".{fingerprint(kind, identity)}.claim"
        with try_alone(claim) as is_free:
            if not is_free:
                return None
            folder = self.artefact(kind, identity, make)
            claim.unlink(missing_ok=True)
        return folder


@cache
def _say_unused(folder: Path, damage: str) -> None:
    logger.warning("%s: %s; not used", folder, damage)


def _keep_sound(folder: Path) -> bool:
    """Whether a finished artefact is there, sound; a damaged one is moved out of the way, said."""
    if not folder.exists():
        return False
    if (damage := find_damage(folder)) is None:
        return True
    logger.warning("%s: %s; it is made again", folder, damage)
    away = folder.with_name(f".{folder.name}.damaged{PARTIAL}")
    shutil.rmtree(away, ignore_errors=True)
    folder.replace(away)
    _remove(away)
    return False


def _make(
    folder: Path, identity: JsonObject, make: Callable[[Path], JsonObject], resumable: bool
) -> None:
    partial = _name_partial(folder)
    if not resumable:
        _remove(partial)
    partial.mkdir(exist_ok=resumable)
    remove_partials(partial)
    with working(f"making {folder.parent.name.replace('_', ' ')}"):
        facts = make(partial)
    version = importlib.metadata.version("recross")
    sync_tree(partial)
    seal_folder(partial, {"identity": describe(identity), "recross": version, **facts})
    note_verified(folder, partial)
    partial.replace(folder)
    sync_folder(folder.parent)


def _name_partial(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}{PARTIAL}")


def _remove(path: Path) -> None:
    """Remove a folder, or a file that stands in its place, if there is one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def read_manifest(folder: Path) -> dict[str, Json]:
    """Read the manifest of an artefact: what it was made from.

    Raises:
        RunError: it is not what was written.
    """
    manifest = read_sealed(folder)
    if manifest is None:
        raise RunError(
            f"a manifest must be as it was written, got {str(folder / MANIFEST)!r}; delete the"
            " folder, and it is made again"
        )
    return manifest
