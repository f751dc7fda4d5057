"""Text that becomes the name of a file or a folder, or one line of a table: what it may hold."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
LONGEST = 200
"""Bytes of a name: file systems end at 255, and names of files beside it are made of it."""
OF_RECORDS = (".yaml", ".json")
"""Endings of the files that lie beside a run file."""


@runtime_checkable
class TextForm(Protocol):
    """A bound of text by its form."""

    def find_broken(self, value: object) -> str | None:
        """The rule that a value breaks, ``name a folder``; ``None`` if it breaks none."""


@dataclass(frozen=True)
class FolderName:
    """A bound: the name of one folder, which lies where it is made and nowhere else."""

    def find_broken(self, value: object) -> str | None:
        """Why the text is no such name."""
        return _find_broken_name(str(value))


@dataclass(frozen=True)
class OneLine:
    """A bound: text without line breaks and other control characters."""

    def find_broken(self, value: object) -> str | None:
        """Whether the text has any."""
        return "be one line of text" if CONTROL.search(str(value)) else None


@dataclass(frozen=True)
class FileWithin:
    """A bound: the path of a file within a folder, that of no record beside it."""

    def find_broken(self, value: object) -> str | None:
        """Why the path is none, or leads out."""
        path = Path(str(value))
        if path.is_absolute():
            return "be a path within output (output=FOLDER chooses that)"
        if not path.parts:
            return "name a file"
        if path.suffix in OF_RECORDS:
            return f"not end in {path.suffix}, as the record beside it does"
        return next(filter(None, map(_find_broken_name, path.parts)), None)


def _find_broken_name(name: str) -> str | None:
    rules = {
        "not empty": not name,
        "without /": "/" in name,
        "other than . and ..": name in (".", ".."),
        "without control characters": CONTROL.search(name),
        "that does not begin with -": name.startswith("-"),
        "without blanks at its ends": name != name.strip(),
        f"of at most {LONGEST} bytes": len(name.encode(errors="replace")) > LONGEST,
    }
    broken = next((rule for rule, is_broken in rules.items() if is_broken), None)
    return broken and f"be a name {broken}"
