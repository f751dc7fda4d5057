"""Many strings on disk, memory-mapped: found by number, and by what they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import islice, pairwise
from pathlib import Path
from typing import overload

import numpy as np
import numpy.typing as npt
from xxhash import xxh3_64_intdigest

from recross.writing.whole_files import reserve_space

LENGTH_TYPE = np.dtype("<i4")
_LENGTHS_AT_ONCE = 1 << 20
STRINGS_AT_ONCE = 1 << 14

StringParts = dict[str, npt.NDArray[np.integer]]
"""What strings put behind each of their two growing files."""


def name_growing(name: str) -> tuple[str, str]:
    """The two files that strings of this name grow in: their bytes, and how many each has."""
    return f"{name}.bin", f"{name}_lengths.bin"


def pack_strings(name: str, strings: Sequence[str]) -> StringParts:
    """What more strings put behind the growing files of this name."""
    encoded = [_encode(string) for string in strings]
    whole = np.frombuffer(b"".join(encoded), np.uint8)
    lengths = np.fromiter(map(len, encoded), LENGTH_TYPE, len(encoded))
    return dict(zip(name_growing(name), (whole, lengths), strict=True))


def write_offsets(lengths: Path, offsets: Path, count: int) -> None:
    """Write where each of ``count`` spans begins and the last one ends, from a file of lengths."""
    sums = np.lib.format.open_memmap(offsets, "w+", np.int64, (count + 1,))
    reserve_space(offsets)
    sums[0] = 0
    with lengths.open("rb") as file:
        for start in range(0, count, _LENGTHS_AT_ONCE):
            some = np.fromfile(file, LENGTH_TYPE, min(_LENGTHS_AT_ONCE, count - start))
            stop = start + len(some)
            sums[start + 1 : stop + 1] = sums[start] + some.cumsum(dtype=np.int64)
    sums.flush()


class StringFile(Sequence[str]):
    """Strings in the order they were written, each read from the disk when it is asked for."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        # as plain arrays: a slice of a memmap costs ten times that of a view of it
        self._offsets = np.load(folder / f"{name}_offsets.npy", mmap_mode="r").view(np.ndarray)
        path = folder / name_growing(name)[0]
        is_empty = not path.stat().st_size  # which cannot be mapped
        mapped = np.empty(0, np.uint8) if is_empty else np.memmap(path, np.uint8, "r")
        self._bytes = mapped.view(np.ndarray)

    @classmethod
    def finish(cls, folder: Path, name: str, count: int) -> StringFile:
        """Make the growing files of ``count`` strings ones that can be read."""
        write_offsets(folder / name_growing(name)[1], folder / f"{name}_offsets.npy", count)
        return cls(folder, name)

    @classmethod
    def write(cls, folder: Path, name: str, strings: Iterable[str]) -> StringFile:
        """Write all strings, some at a time."""
        waiting, count = iter(strings), 0
        with ExitStack() as stack:
            files = {n: stack.enter_context((folder / n).open("wb")) for n in name_growing(name)}
            while some := list(islice(waiting, STRINGS_AT_ONCE)):
                for file, values in pack_strings(name, some).items():
                    values.tofile(files[file])
                count += len(some)
        return cls.finish(folder, name, count)

    def __len__(self) -> int:
        return len(self._offsets) - 1

    @overload
    def __getitem__(self, number: int) -> str: ...

    @overload
    def __getitem__(self, number: slice) -> list[str]: ...

    def __getitem__(self, number: int | slice) -> str | list[str]:
        if isinstance(number, slice):
            start, stop, step = number.indices(len(self))
            rows = range(start, stop, step)
            return self._read(start, stop) if step == 1 else [self[row] for row in rows]
        row = range(len(self))[number]
        begin, end = self._offsets[row : row + 2].tolist()
        return _decode(self._bytes[begin:end].tobytes())

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), STRINGS_AT_ONCE):
            yield from self._read(start, min(start + STRINGS_AT_ONCE, len(self)))

    def _read(self, start: int, stop: int) -> list[str]:
        """Consecutive strings."""
        if start >= stop:
            return []
        offsets = self._offsets[start : stop + 1] - self._offsets[start]
        begin, end = self._offsets[[start, stop]].tolist()
        whole, ends = self._bytes[begin:end].tobytes(), offsets.tolist()
        return [_decode(whole[a:b]) for a, b in pairwise(ends)]


class NameFile:
    """The numbers of distinct strings by what they are, over hashes that are sorted on disk."""

    def __init__(self, names: StringFile) -> None:
        self._names = names
        self._hashes, self._rows = (
            np.load(names.folder / f"{names.name}_{part}.npy", mmap_mode="r")
            for part in ("hashes", "rows")
        )

    @classmethod
    def finish(cls, names: StringFile) -> NameFile:
        """Make strings ones that can be found by what they are."""
        found = (_hash(name) for name in names)
        hashes = np.fromiter(found, np.uint64, len(names))
        order = np.argsort(hashes, kind="stable")
        np.save(names.folder / f"{names.name}_hashes.npy", hashes[order])
        np.save(names.folder / f"{names.name}_rows.npy", order)
        return cls(names)

    def find(self, name: str) -> int | None:
        """The number of a string, the first of equal ones; ``None`` where there is none."""
        return self.find_all([name])[0]

    def find_all(self, names: Sequence[str]) -> list[int | None]:
        """The number of each of these strings, as :meth:`find` finds it."""
        wanted = np.fromiter(map(_hash, names), np.uint64, len(names))
        begins = np.searchsorted(self._hashes, wanted).tolist()
        ends = np.searchsorted(self._hashes, wanted, "right").tolist()
        return [
            next((row for row in self._rows[begin:end].tolist() if self._names[row] == name), None)
            for name, begin, end in zip(names, begins, ends, strict=True)
        ]

    def find_twice(self) -> str | None:
        """A string that is there more than once, if there is one."""
        equal = np.flatnonzero(self._hashes[1:] == self._hashes[:-1])
        for place in equal.tolist():
            first, second = (self._names[int(row)] for row in self._rows[place : place + 2])
            if first == second:
                return first
        return None


def _hash(name: str) -> int:
    return xxh3_64_intdigest(_encode(name))


def _encode(string: str) -> bytes:
    return string.encode("utf-8", "surrogatepass")


def _decode(encoded: bytes) -> str:
    return encoded.decode("utf-8", "surrogatepass")
