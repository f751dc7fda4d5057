"""Lines of text files, with the place of each for messages."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from recross.errors import InputError
from recross.records import Json

Record = dict[str, Json]


def read_lines(path: Path) -> Iterator[tuple[str, str]]:
    """Yield ``path:number`` and the text of every line that is not blank.

    Raises:
        InputError: there is no such file.
    """
    if not path.is_file():
        raise InputError(f"file must exist, got {str(path)!r}")
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield f"{path}:{number}", line.rstrip("\n")


def read_record(line: str, location: str, ids: Sequence[str]) -> tuple[str, Record]:
    """Read a line that begins an object of JSON, and the identifier that the object holds.

    It stands under the first of the keys ``ids`` that is there.

    Raises:
        InputError: the object does not end in this line, or has no identifier.
    """
    try:
        record: Record = json.loads(line)
    except json.JSONDecodeError as error:
        raise InputError(f"{location}: expected a JSON object ({error})") from None
    identifier = next((record[key] for key in ids if record.get(key) is not None), None)
    if identifier is None:
        raise InputError(f"{location}: expected an {ids[0]!r}, got the keys {', '.join(record)}")
    return str(identifier), record
