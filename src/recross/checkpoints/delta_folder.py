"""A checkpoint as a small folder: its difference from a base that everybody has.

The folder holds ``delta.safetensors``, ``delta.json`` (the base with its checksum, that of the
difference, and what made it) and the checkpoint's small files. Whoever loads it gets a whole
checkpoint, put together once and kept in the user's cache.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from recross.artefacts.opening import load_once
from recross.errors import InputError
from recross.records import JsonObject
from recross.store import Store, write_json
from recross.writing.whole_files import share_files

if TYPE_CHECKING:
    from torch import Tensor

    from recross.checkpoints.delta import Delta

DELTA = "delta.safetensors"
DELTA_MANIFEST = "delta.json"
WHOLE_WEIGHTS = "model.safetensors"
_CURVES = "training.json"
TOKENIZER = "tokenizer.json"
SET_FOR_USE = ("truncation", "padding")
"""What a tokenizer's file says of the last use of it, and not of the tokenizer."""
CACHE_VARIABLE = "RECROSS_CACHE"

Locate = Callable[[str], str]
"""From the name of a base to the folder that holds it."""


def is_delta(folder: Path) -> bool:
    """Whether a folder holds a difference in place of weights."""
    return (folder / DELTA).is_file() and not (folder / WHOLE_WEIGHTS).is_file()


def pack(
    checkpoint: Path,
    base: str,
    locate: Locate,
    folder: Path,
    most_bytes: int,
    facts: JsonObject,
    beside: Mapping[str, Path] = MappingProxyType({}),
) -> Delta:
    """Write a checkpoint as its difference from ``base``, with ``facts`` in the manifest.

    Files ``beside`` the checkpoint, by the names that they get, are kept with it; the curves of
    its training are not.

    Raises:
        InputError: the folder is there already, the checkpoint has no weights in safetensors, or
            they are not of the base's shapes.
    """
    from safetensors.torch import save_file

    from recross.checkpoints.delta import Delta

    check_new(folder)
    trained, origin = _read_weights(checkpoint), Path(locate(base))
    prefix, started = _rename(_read_weights(origin), trained)
    delta = Delta.between(started, trained, most_bytes)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(dict(delta.tensors), folder / DELTA)
    shares_tokenizer = _read_tokenizer(checkpoint) == _read_tokenizer(origin)
    for path in _list_files_but(checkpoint, (WHOLE_WEIGHTS, DELTA_MANIFEST, _CURVES)):
        if path.name != TOKENIZER or not shares_tokenizer:
            _copy(checkpoint, path, folder)
    for name, path in beside.items():
        shutil.copy(path, folder / name)
    write_json(
        folder / DELTA_MANIFEST,
        {
            "base": base,
            "base_sha256": _hash(origin / WHOLE_WEIGHTS),
            "delta_sha256": _hash(folder / DELTA),
            "files_sha256": _hash_small_files(folder),
            "prefix": prefix,
            "weights": list(trained),
            "kept": delta.kept,
            **facts,
        },
    )
    share_files(folder)
    return delta


def check_new(folder: Path) -> None:
    """Refuse a folder that holds anything.

    Raises:
        InputError: it does, or is no folder.
    """
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise InputError(f"folder must be empty or new, got {str(folder)!r}")


@load_once
def assemble(folder: Path, locate: Locate) -> Path:
    """The folder of the whole checkpoint, in the user's cache, made if it is not there.

    Raises:
        InputError: the difference or its base is not the one that the manifest tells of.
    """
    from safetensors.torch import load_file, save_file

    from recross.checkpoints.delta import Delta

    manifest = read_delta_manifest(folder)
    origin = Path(locate(str(manifest["base"])))
    _verify(folder / DELTA, str(manifest["delta_sha256"]))
    for name, checksum in manifest["files_sha256"].items():
        _verify(folder / name, checksum)

    def make(target: Path) -> JsonObject:
        _verify(origin / WHOLE_WEIGHTS, str(manifest["base_sha256"]))
        names, prefix = [str(name) for name in manifest["weights"]], str(manifest["prefix"])
        base = {prefix + name: weight for name, weight in _read_weights(origin).items()}
        made = Delta(load_file(folder / DELTA)).add_to(base, names)
        save_file(made, target / WHOLE_WEIGHTS, metadata={"format": "pt"})
        for path in _list_small_files(folder):
            _copy(folder, path, target)
        if not (target / TOKENIZER).is_file():
            shutil.copy(origin / TOKENIZER, target / TOKENIZER)
        return {"name": folder.name}

    identity = {
        "delta": manifest["delta_sha256"],
        "base": manifest["base_sha256"],
        "files": _hash_small_files(folder),
    }
    return Store(find_cache_folder()).artefact("assembled", identity, make)


def find_cache_folder() -> Path:
    """Where this user keeps what can be made again: ``RECROSS_CACHE``, or where the system says."""
    if named := os.environ.get(CACHE_VARIABLE):
        return Path(named)
    if system := os.environ.get("XDG_CACHE_HOME"):
        return Path(system, "recross")
    try:
        return Path.home() / ".cache" / "recross"
    except RuntimeError:  # a user without a home
        return Path(tempfile.gettempdir(), "recross")


def read_delta_manifest(folder: Path) -> JsonObject:
    """Read what a folder's difference was made of.

    Raises:
        InputError: there is no such file, or it does not say.
    """
    path = folder / DELTA_MANIFEST
    try:
        manifest: JsonObject = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} must say what {DELTA} was made of ({error})") from None
    wanted = ("base", "base_sha256", "delta_sha256", "files_sha256", "prefix", "weights")
    if missing := [key for key in wanted if key not in manifest]:
        raise InputError(f"{path} must hold {missing[0]!r}, got none")
    return manifest


def _list_small_files(folder: Path) -> list[Path]:
    """All but the difference and its manifest, modules that follow the encoder included."""
    return _list_files_but(folder, (DELTA, DELTA_MANIFEST))


def _hash_small_files(folder: Path) -> dict[str, str]:
    """The checksum of each, by its place within the folder."""
    return {path.relative_to(folder).as_posix(): _hash(path) for path in _list_small_files(folder)}


def _list_files_but(folder: Path, names: Sequence[str]) -> list[Path]:
    """Files of a folder and of those within it, without these of the folder itself."""
    left_out = {folder / name for name in names}
    return sorted(path for path in folder.rglob("*") if path.is_file() and path not in left_out)


def _copy(origin: Path, path: Path, target: Path) -> None:
    """Copy a file of one folder to its place in another."""
    place = target / path.relative_to(origin)
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(path, place)


def _verify(path: Path, expected: str) -> None:
    if not path.is_file():
        raise InputError(f"file must exist, got {str(path)!r}")
    if (found := _hash(path)) != expected:
        raise InputError(f"{path} must have the SHA-256 {expected[:16]}..., got {found[:16]}...")


def _read_weights(folder: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    path = folder / WHOLE_WEIGHTS
    if not path.is_file():
        raise InputError(f"checkpoint must hold {WHOLE_WEIGHTS}, got {str(folder)!r}")
    return load_file(path)


def _rename(base: dict[str, Tensor], trained: dict[str, Tensor]) -> tuple[str, dict[str, Tensor]]:
    """The prefix that a classifier gives to the weights of its encoder, and the base's with it."""
    prefixes = Counter(
        name.removesuffix(known) for name in trained for known in base if name.endswith(known)
    )
    prefix = prefixes.most_common(1)[0][0] if prefixes else ""
    return prefix, {prefix + name: weight for name, weight in base.items()}


def _read_tokenizer(folder: Path) -> JsonObject:
    values: JsonObject = json.loads((folder / TOKENIZER).read_text(encoding="utf-8"))
    return {key: value for key, value in values.items() if key not in SET_FOR_USE}


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
