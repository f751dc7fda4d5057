"""``recross store``: what the store holds, whether it is sound, what can go, why two differ."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from recross.artefacts.inventory import (
    StoredFolder,
    find_nearest,
    is_sealed,
    list_stored,
)
from recross.artefacts.manifest import MANIFEST, forget_verified
from recross.errors import InputError
from recross.records import Json, JsonObject
from recross.store import DEFAULT_STORE

_LINE = 100
"""Letters of a value or of a description that are shown."""


class _Words(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InputError(f"{self.prog}: {message}; recross store --help shows what there is")


def run_store_command(words: Sequence[str]) -> tuple[str, int]:
    """What a ``recross store`` command prints, and its exit code.

    Raises:
        InputError: an argument is unknown or wrong, or there is no such store or artefact.
    """
    arguments = _parse(words)
    root: Path = arguments.store
    if not root.is_dir():
        raise InputError(f"--store must be a folder, got {str(root)!r}")
    match arguments.action:
        case "list":
            return _list(root), 0
        case "verify":
            return _verify(root, arguments.repair)
        case "gc":
            return _collect(root, arguments.older_than, arguments.dry_run), 0
    return _explain(root, arguments.artefact), 0


def _parse(words: Sequence[str]) -> argparse.Namespace:
    shared = _Words(add_help=False)
    shared.add_argument("--store", type=Path, default=DEFAULT_STORE, metavar="DIR")
    parser = _Words(prog="recross store")
    actions = parser.add_subparsers(dest="action", required=True, metavar="list|verify|gc|why")
    actions.add_parser("list", parents=[shared], help="every artefact, and what made it")
    verify = actions.add_parser("verify", parents=[shared], help="compare all files' checksums")
    verify.add_argument("--repair", action="store_true", help="delete what is damaged")
    collect = actions.add_parser("gc", parents=[shared], help="delete what nobody will read")
    collect.add_argument("--older-than", type=_read_days, metavar="DAYS", help="unused so long")
    collect.add_argument("--dry-run", action="store_true", help="only say what would go")
    why = actions.add_parser("why", parents=[shared], help="what differs from the nearest other")
    why.add_argument("artefact", metavar="FINGERPRINT|FOLDER")
    return parser.parse_args(words)


def _read_days(text: str) -> float:
    try:
        days = float(text)
    except ValueError:
        days = -1.0
    if not 0 <= days < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number of days, at least 0, got {text!r}")
    return days


def _list(root: Path) -> str:
    stored = list_stored(root)
    lines = [
        f"{folder.kind:<16} {folder.path.name:<16} {_say_size(folder.size):>10}"
        f" {folder.idle_days:5.0f} d  {_summarise(folder)}"
        for folder in stored
    ]
    return "\n".join([*lines, f"{root}: {_count(stored)}"])


def _verify(root: Path, repair: bool) -> tuple[str, int]:
    forget_verified()  # this is what is asked for
    finished = [folder for folder in list_stored(root) if folder.is_finished]
    damaged = {folder: damage for folder in finished if (damage := folder.find_damage())}
    lines = []
    for folder, damage in damaged.items():
        done = " (deleted)" if repair and folder.delete() else ""
        lines.append(f"{folder.path}: {damage}{done}")
    lines.append(f"{root}: {len(finished)} artefacts, {len(damaged)} damaged")
    return "\n".join(lines), 1 if damaged and not repair else 0


def _collect(root: Path, older_than: float | None, dry_run: bool) -> str:
    lines, freed = [], 0
    for folder in list_stored(root):
        reason = folder.find_uselessness(older_than)
        if reason is None:
            continue
        size = folder.size
        if dry_run or folder.delete():
            freed += size
            lines.append(f"{folder.path}: {reason}, {_say_size(size)}")
        else:
            lines.append(f"{folder.path}: {reason}, and kept: a process is at work there")
    verb = "would be freed" if dry_run else "freed"
    return "\n".join([*lines, f"{root}: {_say_size(freed)} {verb}"])


def _explain(root: Path, name: str) -> str:
    own = _find(root, name)
    others = [folder for folder in _list_alike(own) if folder.path != own.path]
    others = [folder for folder in others if "identity" in folder.manifest]
    identities = [folder.manifest["identity"] for folder in others]
    nearest = find_nearest(_read_identity(own), identities)
    if nearest is None:
        return f"{own.path}: there is no other of its kind ({own.kind})"
    number, differences = nearest
    lines = [f"{own.path} differs from {others[number].path} in"]
    for one in differences:
        lines += [f"  {one.name}", f"    {_shorten(one.own)}", f"    {_shorten(one.other)}"]
    return "\n".join(lines if differences else [*lines, "  nothing"])


def _find(root: Path, name: str) -> StoredFolder:
    """The artefact of a fingerprint, of the beginning of one that is the only such, or a folder."""
    if is_sealed(Path(name)):
        return StoredFolder(Path(name))
    stored = [folder for folder in list_stored(root) if folder.is_finished]
    found = [folder for folder in stored if name and folder.path.name.startswith(name)]
    if len(found) != 1:
        got = f"{len(found)} begin so" if found else "none does"
        raise InputError(
            f"why needs a folder with a {MANIFEST}, or the beginning of one artefact's fingerprint"
            f" in {root}, got {name!r}: {got}"
        )
    return found[0]


def _list_alike(own: StoredFolder) -> list[StoredFolder]:
    """Artefacts of its kind; of an experiment, the others of its study."""
    if own.is_finished:
        return [f for f in list_stored(own.path.parent.parent) if f.kind == own.kind]
    study = own.path.absolute().parent.parent
    return [StoredFolder(path.parent) for path in sorted(study.glob(f"*/*/{MANIFEST}"))]


def _read_identity(folder: StoredFolder) -> JsonObject:
    identity: JsonObject | None = folder.manifest.get("identity")
    if identity is None:
        raise InputError(f"{folder.path / MANIFEST} must say what it was made from, and does not")
    return identity


def _summarise(folder: StoredFolder) -> str:
    """What made an artefact, in one line."""
    if not folder.is_finished:
        return "never finished"
    identity = folder.manifest.get("identity")
    return "damaged or of an older version" if identity is None else _shorten(_say(identity))


def _say(value: Json) -> str:
    match value:
        case {"class": name, **held}:
            values = [f"{key}={_say(one)}" for key, one in held.items() if one is not None]
            return f"{name}({', '.join(values)})"
        case dict():
            return " ".join(f"{key}={_say(one)}" for key, one in value.items())
        case list() if len(value) > 3:
            return f"[{len(value)} values]"
    return str(value)


def _shorten(value: Json) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = " ".join(text.split())
    return text if len(text) <= _LINE else text[: _LINE - 1] + "…"


def _count(stored: Sequence[StoredFolder]) -> str:
    finished = [folder for folder in stored if folder.is_finished]
    size = _say_size(sum(folder.size for folder in stored))
    return f"{len(finished)} artefacts, {len(stored) - len(finished)} never finished, {size}"


def _say_size(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
