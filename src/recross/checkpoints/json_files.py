"""Files of JSON that belong to a checkpoint, and git's pointers to files that were not fetched."""

from __future__ import annotations

import json
from pathlib import Path

from recross.errors import InputError
from recross.records import Json, JsonObject

_POINTER = b"version https://git-lfs.github.com/spec/"


def read_json(path: Path) -> JsonObject:
    """Read a JSON object of a checkpoint.

    Raises:
        InputError: the file holds none.
    """
    values = read_json_value(path)
    if not isinstance(values, dict):
        raise InputError(f"{path} must hold a JSON object, got {type(values).__name__}")
    return values


def read_json_value(path: Path) -> Json:
    """Read any value of JSON.

    Raises:
        InputError: the file holds none.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} must hold JSON in UTF-8 ({error})") from None


def refuse_pointer(path: Path) -> None:
    """Refuse what git leaves in a file's place until its large-file storage is fetched.

    Raises:
        InputError: the file is such a pointer.
    """
    with path.open("rb") as file:
        is_pointer = file.read(len(_POINTER)) == _POINTER
    if is_pointer:
        raise InputError(
            f"files of a checkpoint must be fetched, got a pointer of git's large-file storage in"
            f" place of {path}: run `git lfs pull` in its folder"
        )
