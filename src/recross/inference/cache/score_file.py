"""The file under the score cache: pages in generations, held by LMDB."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import lmdb

from recross.artefacts.locks import hold_alone
from recross.writing.whole_files import reserve_space

GENERATIONS = 4
"""Scores are dropped a generation at a time, the oldest first: no order of pages to keep up."""
READERS = 1024
DATA, LOCK = "data.mdb", "lock.mdb"
LOCK_BYTES = READERS * 64 + 128
"""Its size: a line of the processor's cache for every reader, and two before them."""
YOUNGEST = b"youngest generation"

Generation: TypeAlias = "lmdb._Database"
Transaction: TypeAlias = "lmdb.Transaction[bytes]"
FileIsFull = lmdb.MapFullError
"""Raised in writing when the file has no room left."""
FILE_ERRORS: tuple[type[Exception], ...] = (lmdb.Error, OSError)
"""What a folder that cannot be made, read or written raises, or a full disk."""
Page: TypeAlias = tuple[Generation, bytes, bytes]
"""A generation, a key in it and what lies there."""


@dataclass(frozen=True)
class ScoreFile:
    """One open file; a process has one for each folder at most."""

    folder: Path
    environment: lmdb.Environment
    generations: tuple[Generation, ...]
    scorers: Generation
    """Names of scorers by their digest, and which generation is the youngest."""
    identity: tuple[int, int] | None

    @classmethod
    def open(cls, folder: Path, max_bytes: int) -> ScoreFile:
        """Open the file in a folder, making both if need be."""
        folder.mkdir(parents=True, exist_ok=True)
        reserve_space(folder / LOCK, LOCK_BYTES)
        environment = lmdb.open(
            str(folder),
            map_size=max_bytes,
            max_dbs=GENERATIONS + 1,
            max_readers=READERS,
            metasync=False,  # a power cut may undo the last commit, never leave half of one
            max_spare_txns=1,  # keeps the place of this process among the readers
        )
        used_bytes = (environment.info()["last_pgno"] + 1) * environment.stat()["psize"]
        if (folder / DATA).stat().st_size < used_bytes:  # reading past the end kills the process
            environment.close()
            raise OSError(f"{DATA} is shorter than the {used_bytes} bytes it says it holds")
        environment.reader_check()
        environment.begin().abort()
        return cls(
            folder,
            environment,
            tuple(environment.open_db(b"generation %d" % n) for n in range(GENERATIONS)),
            environment.open_db(b"scorers"),
            identify_file(folder),
        )

    def reading(self) -> Transaction:
        """Begin to read what is committed now."""
        return self._begin(write=False)

    @contextmanager
    def writing(self) -> Iterator[Transaction]:
        """Write; committed at the end, or not at all after an error.

        Writers of different processes wait for a file lock, which the system takes from a killed
        process. LMDB's own, a robust mutex, was seen to leave processes that wait for it asleep.
        """
        with hold_lock(self.folder), self._begin(write=True) as transaction:
            yield transaction

    def _begin(self, write: bool) -> Transaction:
        try:
            return self.environment.begin(write=write)
        except lmdb.MapResizedError:  # another process gave the file more room
            self.environment.set_mapsize(0)
            return self.environment.begin(write=write)

    def allow(self, max_bytes: int) -> None:
        """Let the file grow to at least this size."""
        if self.environment.info()["map_size"] < max_bytes:
            self.environment.set_mapsize(max_bytes)

    def list_newest_first(self, transaction: Transaction) -> list[Generation]:
        """The generations that hold anything, the youngest first."""
        youngest = self.youngest(transaction)
        ordered = [self.generations[youngest - age] for age in range(GENERATIONS)]
        return [generation for generation in ordered if transaction.stat(generation)["entries"]]

    def pages(self, transaction: Transaction) -> Iterator[Page]:
        """Every page of every generation."""
        for generation in self.generations:
            with transaction.cursor(generation) as cursor:
                for key, page in cursor:
                    yield generation, key, page

    def names(self, transaction: Transaction) -> dict[bytes, str]:
        """The scorers' names by their digest."""
        with transaction.cursor(self.scorers) as cursor:
            return {
                key: name.decode("utf-8", "surrogatepass")
                for key, name in cursor
                if key != YOUNGEST
            }

    def delete(self, pages: Iterable[Page]) -> None:
        """Drop pages that are still as they were seen."""
        with self.writing() as transaction:
            for generation, key, page in pages:
                if transaction.get(key, db=generation) == page:
                    transaction.delete(key, db=generation)

    def youngest(self, transaction: Transaction) -> int:
        """The number of the generation that is being filled."""
        return (transaction.get(YOUNGEST, db=self.scorers) or b"\0")[0]


@contextmanager
def hold_lock(folder: Path) -> Iterator[None]:
    """Alone among all processes to make, remove, open or write the file of a folder."""
    lock = folder.with_name(f".{folder.name}.lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.touch()  # raises what is told of the cache
    with hold_alone(lock, ""):
        yield


def identify_file(folder: Path) -> tuple[int, int] | None:
    """Which file lies in a folder now; another one after it was cleared."""
    try:
        state = (folder / DATA).stat()
    except FileNotFoundError:
        return None
    return state.st_dev, state.st_ino
