"""Values that a checkpoint's own files hold, checked for their kind before they are used."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from recross.errors import InputError
from recross.parts.bounds import find_problems, make_adapter
from recross.parts.hints import Hint, say_kinds
from recross.records import JsonObject


def check_stored_values(path: Path, values: JsonObject, hints: Mapping[str, Hint]) -> None:
    """Refuse a value of a file that its annotation does not allow; a text is never a number.

    Raises:
        InputError: there is one; the message names it, its file and the rule.
    """
    for name in values.keys() & hints.keys():
        hint, value = hints[name], values[name]
        try:
            make_adapter(hint).validate_json(json.dumps(value), strict=True)
        except ValueError:  # pydantic's is one
            otherwise = ("", f"must be {say_kinds(hint)}, got {value!r}")
            where, problem = next(find_problems(hint, value), otherwise)
            raise InputError(f"{name}{where} in {path} {problem}") from None
