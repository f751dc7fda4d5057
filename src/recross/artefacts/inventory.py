"""What lies in a store: finished artefacts, what was left half written, and how they differ."""

from __future__ import annotations

import importlib.metadata
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from recross.artefacts.folders import PARTIAL
from recross.artefacts.locks import try_alone
from recross.artefacts.manifest import MANIFEST, find_damage, read_sealed
from recross.records import Json, JsonObject

_FINGERPRINT = re.compile(r"[0-9a-f]{16}")
_SECONDS_A_DAY = 86_400


@dataclass(frozen=True)
class StoredFolder:
    """A folder of a store: a finished artefact, or what a process has left half written."""

    path: Path

    @property
    def kind(self) -> str:
        """What it holds, such as ``runs``."""
        return self.path.parent.name

    @property
    def is_finished(self) -> bool:
        """Whether it was finished, damaged since or not."""
        return _FINGERPRINT.fullmatch(self.path.name) is not None

    @cached_property
    def manifest(self) -> JsonObject:
        """What it was made from; nothing where that is damaged or was never written."""
        try:
            return read_sealed(self.path) or {}
        except OSError:
            return {}

    @cached_property
    def size(self) -> int:
        """Bytes of its files."""
        return sum(path.stat().st_size for path in self.path.rglob("*") if path.is_file())

    @property
    def lock(self) -> Path:
        """What a process holds that makes it."""
        return self.path.with_name(f".{self.path.name.lstrip('.')[:16]}.lock")

    @property
    def idle_days(self) -> float:
        """Days since it was made or last asked for."""
        times = [path.stat().st_mtime for path in (self.lock, self.path) if path.exists()]
        return (time.time() - max(times, default=0.0)) / _SECONDS_A_DAY

    def find_damage(self) -> str | None:
        """What is wrong with it, naming the file."""
        return find_damage(self.path)

    def find_uselessness(self, older_than_days: float | None) -> str | None:
        """Why nobody will read it again, as far as that is known."""
        if not self.is_finished:
            return "never finished"
        ours, version = importlib.metadata.version("recross"), self.manifest.get("recross")
        if version != ours:
            return f"of recross {version}" if version else "of an older version, or damaged"
        if older_than_days is not None and self.idle_days > older_than_days:
            return f"not used for {self.idle_days:.0f} days"
        return None

    def delete(self) -> bool:
        """Delete it, unless a process is at work there; whether it is gone."""
        with try_alone(self.lock) as is_alone:
            if is_alone:
                away = self.path.with_name(f"{self.path.name}.deleted{PARTIAL}")
                self.path.rename(away)
                shutil.rmtree(away)
                self.lock.unlink(missing_ok=True)
        return is_alone


def list_stored(root: Path) -> list[StoredFolder]:
    """Every finished and every unfinished artefact of a store, by kind and name."""
    return [
        StoredFolder(path)
        for kind in sorted(path for path in root.iterdir() if path.is_dir())
        for path in sorted(kind.iterdir())
        if path.is_dir() and (_FINGERPRINT.fullmatch(path.name) or path.name.endswith(PARTIAL))
    ]


@dataclass(frozen=True)
class Difference:
    """One value in which two identities differ; ``None`` stands for no value as well."""

    name: str
    own: Json
    other: Json


def find_nearest(
    identity: JsonObject, others: Sequence[JsonObject]
) -> tuple[int, list[Difference]] | None:
    """The number of the identity that differs in the fewest values, and these; none: no others."""
    own = dict(_list_values(identity))
    found = [_compare_values(own, dict(_list_values(other))) for other in others]
    if not found:
        return None
    nearest = min(range(len(found)), key=lambda number: (len(found[number]), number))
    return nearest, found[nearest]


def _compare_values(own: JsonObject, other: JsonObject) -> list[Difference]:
    names = list(dict.fromkeys([*own, *other]))
    return [
        Difference(name, own.get(name), other.get(name))
        for name in names
        if own.get(name) != other.get(name)
    ]


def _list_values(value: Json, at: str = "") -> Iterator[tuple[str, Json]]:
    """Every value of a description by its path; a list of texts or numbers is one value."""
    match value:
        case dict():
            for key, held in value.items():
                yield from _list_values(held, f"{at}.{key}" if at else key)
        case list() if any(isinstance(held, dict | list) for held in value):
            for number, held in enumerate(value):
                yield from _list_values(held, f"{at}[{number}]")
        case _:
            yield at, value


def is_sealed(folder: Path) -> bool:
    """Whether a folder has a manifest."""
    return (folder / MANIFEST).is_file()
