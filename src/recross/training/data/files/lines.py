"""Lines of a file by number: an index on disk, the file mapped into memory."""

from __future__ import annotations

import gzip
import shutil
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from recross.errors import InputError
from recross.records import JsonObject
from recross.store import Store

TEXT = "lines"
NUMBERS_PER_ROW = 4
ROWS_HELD = 65_536
"""Of an index while it is written: two megabytes."""


class Line(NamedTuple):
    """A line that is not blank, and the bytes of its file that it is."""

    number: int
    start: int
    end: int
    text: str


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
        """The file itself, or, of a ``.gz``, its text in the store, to be read from any byte.

        Raises:
            InputError: the file is missing, an archive of files, or no whole gzip file.
        """
        if not path.is_file():
            raise InputError(f"file must exist, got {str(path)!r}")
        if path.name.endswith((".tar.gz", ".tgz", ".zip")):
            raise InputError(f"file must be text or .gz, unpacked from its archive, got {path}")
        if path.suffix != ".gz":
            return cls(str(path), path)
        folder = store.artefact("lines", {"file": path}, lambda folder: _unpack(path, folder))
        return cls(str(path), folder / TEXT)

    def __iter__(self) -> Iterator[Line]:
        end = 0
        with self.path.open("rb") as file:
            for number, raw in enumerate(file, start=1):
                start, end = end, end + len(raw)
                if not raw.isspace():
                    yield Line(number, start, end, self._decoded(raw, number))

    def _decoded(self, raw: bytes, number: int) -> str:
        try:
            return raw.decode("utf-8").rstrip("\r\n")
        except UnicodeDecodeError:
            raise InputError(f"{self.name}:{number}: text must be UTF-8, got {raw!r:.60}") from None


def _unpack(path: Path, folder: Path) -> JsonObject:
    try:
        with gzip.open(path, "rb") as packed, (folder / TEXT).open("wb") as text:
            shutil.copyfileobj(packed, text, 1 << 20)
    except (EOFError, gzip.BadGzipFile):
        raise InputError(f"file must be a whole gzip file, got {str(path)!r}") from None
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
        lines = self._bytes[row.start : row.end].tobytes().decode("utf-8").split("\n")
        return [line.rstrip("\r") for line in lines if line and not line.isspace()]

    @cached_property
    def _rows(self) -> NDArray[np.int64]:
        flat = np.memmap(self.index, dtype=np.int64, mode="r")
        return np.asarray(flat).reshape(-1, NUMBERS_PER_ROW)

    @cached_property
    def _bytes(self) -> NDArray[np.uint8]:
        return np.asarray(np.memmap(self.file.path, dtype=np.uint8, mode="r"))

    def __reduce__(self) -> tuple[object, ...]:
        return IndexedLines, (self.file, self.index)
