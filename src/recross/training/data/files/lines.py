"""Lines of a file by number: an index on disk, the file mapped into memory."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from recross.records import JsonObject
from recross.store import Store
from recross.text_files.lines import Line, decode, is_blank, split_lines
from recross.text_files.packed import is_packed, read_chunks

TEXT = "lines"
NUMBERS_PER_ROW = 4
ROWS_HELD = 65_536
"""Of an index while it is written: two megabytes."""


class ExampleLocation(NamedTuple):
    """The bytes of consecutive lines, the first one's number, and which of their examples."""

    start: int
    end: int
    line: int
    which: int


@dataclass(frozen=True)
class TextFile:
    """Lines of text on disk, and what messages call them."""

    name: str
    path: Path

    @classmethod
    def at(cls, path: Path, store: Store) -> TextFile:
        """The file itself, or, of a packed one, its text in the store, to be read from any byte.

        Raises:
            InputError: the file is missing, an archive of files, or not whole.
        """
        if not is_packed(path):
            return cls(str(path), path)
        folder = store.artefact("lines", {"file": path}, lambda folder: _unpack(path, folder))
        return cls(str(path), folder / TEXT)

    def __iter__(self) -> Iterator[Line]:
        lines = split_lines(read_chunks(self.path), self.name)
        return (line for line in lines if not is_blank(line.text))


def _unpack(path: Path, folder: Path) -> JsonObject:
    with (folder / TEXT).open("wb") as text:
        text.writelines(read_chunks(path))
    return {}


class IndexWriter:
    """Writes rows as they come; a context."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self._numbers = array("q")
        self.rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._flush()
        self._file.close()

    def append(self, row: ExampleLocation) -> None:
        """Add the location of an example to the index."""
        self._numbers.extend(row)
        self.rows += 1
        if len(self._numbers) >= NUMBERS_PER_ROW * ROWS_HELD:
            self._flush()

    def _flush(self) -> None:
        self._numbers.tofile(self._file)
        del self._numbers[:]


@dataclass(frozen=True)
class IndexedLines:
    """The rows of an index and their lines, read from disk when asked for.

    Other processes are handed the paths, not what is mapped.
    """

    file: TextFile
    index: Path

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, number: int) -> ExampleLocation:
        return ExampleLocation(*self._rows[number].tolist())

    def text(self, row: ExampleLocation) -> list[str]:
        """The lines of a row that are not blank."""
        parts = self._bytes[row.start : row.end].tobytes().split(b"\n")
        lines = (decode(part, self.file.name, row.line) for part in parts)
        return [line for line in lines if not is_blank(line)]

    @cached_property
    def _rows(self) -> NDArray[np.int64]:
        flat = np.memmap(self.index, dtype=np.int64, mode="r")
        return np.asarray(flat).reshape(-1, NUMBERS_PER_ROW)

    @cached_property
    def _bytes(self) -> NDArray[np.uint8]:
        return np.asarray(np.memmap(self.file.path, dtype=np.uint8, mode="r"))

    def __reduce__(self) -> tuple[object, ...]:
        return IndexedLines, (self.file, self.index)
