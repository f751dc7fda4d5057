"""Objects of JSON, one a line."""

from __future__ import annotations

import json
from collections.abc import Sequence

from recross.errors import InputError
from recross.records import Json
from recross.text_files.values import check_id, check_text

Record = dict[str, Json]


def is_json_line(line: str) -> bool:
    """Whether a line begins an object of JSON."""
    return line.lstrip(" \t").startswith("{")


def parse_record(line: str) -> Record:
    """Read the object of JSON that a line is.

    Raises:
        InputError: it is none, names a key twice, nests too deep or has a number too long.
    """
    try:
        value = _DECODER.decode(line)
    except InputError:
        raise
    except RecursionError:
        raise InputError(f"expected a JSON object, got one nested too deep, {line!r:.60}") from None
    except ValueError as error:  # no JSON, or a number of thousands of digits
        raise InputError(f"expected a JSON object ({error}), got {line!r:.60}") from None
    match value:
        case dict():
            return value
    raise InputError(f"expected a JSON object, got {line!r:.60}")


def read_id(record: Record, keys: Sequence[str]) -> str:
    """The identifier that a record holds under the first of these keys that is there.

    Raises:
        InputError: no key is there, or the value is neither a text nor a whole number, or unfit.
    """
    for key in keys:
        if key in record:
            return parse_id(record[key], key)
    raise InputError(f"expected an {keys[0]!r}, got the keys {name_keys(record)}")


def parse_id(value: Json, name: str) -> str:
    """The identifier that a value of JSON is.

    Raises:
        InputError: it is neither a text nor a whole number, or unfit.
    """
    match value:
        case str():
            return check_id(value, name)
        case int() if not isinstance(value, bool):
            return str(value)
    raise InputError(f"{name} must be a text or a whole number, got {value!r:.60}")


def read_text(record: Record, key: str) -> str:
    """The text that a record holds under a key.

    Raises:
        InputError: the value is no text, or not one that UTF-8 can say.
    """
    match record[key]:
        case str(text):
            return check_text(text, key)
        case other:
            raise InputError(f"{key} must be a text, got {other!r:.60}")


def name_keys(record: Record) -> str:
    """The keys of a record for a message."""
    return f"{', '.join(record):.200}" or "none"


def _make_record(pairs: list[tuple[str, Json]]) -> Record:
    record = dict(pairs)
    if len(record) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in record if keys.count(key) > 1)
        raise InputError(f"keys of an object must be unique, got {twice!r:.60} twice")
    return record


_DECODER = json.JSONDecoder(object_pairs_hook=_make_record)
