"""Lines of text files, with the place of each for messages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from recross.errors import InputError


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
