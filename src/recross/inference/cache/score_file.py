"""The file under the score cache: pages in generations, held by LMDB."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import lmdb
from filelock import FileLock

from recross.errors import InputError
from recross.inference.cache.score_pages import (
    ENTRY,
    Entries,
    entries_of,
    is_intact,
    merged,
    packed,
)

GENERATIONS = 4
"""Scores are dropped a generation at a time, the oldest first: no order of pages to keep up."""
SHARE = 8
"""A generation may fill 1 / SHARE of the file: LMDB writes what it changes to other places."""
READERS = 1024
DATA = "data.mdb"
YOUNGEST = b"youngest generation"

LOCK_SECONDS = 0.001
"""How often a writer looks whether another is done; a commit takes about as long."""
FULL_SECONDS = 0.05
"""Pause before a full file is tried again: reading a batch takes a few hundredths of a second."""
FULL_TRIES = 40
DROP_EVERY = 20

Generation: TypeAlias = "lmdb._Database"
Transaction: TypeAlias = "lmdb.Transaction[bytes]"
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
            _identity(folder),
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
        with locked(self.folder), self._begin(write=True) as transaction:
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

    def newest_first(self, transaction: Transaction) -> list[Generation]:
        """The generations that hold anything, the youngest first."""
        youngest = self._youngest(transaction)
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

    def put(
        self, scorer: bytes, name: str, pages: Iterable[tuple[bytes, Entries]], max_bytes: int
    ) -> None:
        """Add entries to the pages of a scorer, dropping the oldest generation when it is time.

        All of it is committed on return, in as few transactions as the room allows.
        """
        waiting = list(pages)
        tries = 0
        while waiting:
            youngest = self._youngest_now()
            try:
                waiting = self._fill(scorer, name, waiting, max_bytes // SHARE)
                if waiting:
                    self._turn(youngest)
            except lmdb.MapFullError:
                if tries == FULL_TRIES:
                    raise
                self._wait_for_room()
                if tries % DROP_EVERY == 0:
                    with suppress(lmdb.MapFullError):  # dropping takes a little room too
                        self._turn(youngest)
                tries += 1

    def delete(self, pages: Iterable[Page]) -> None:
        """Drop pages that are still as they were seen."""
        with self.writing() as transaction:
            for generation, key, page in pages:
                if transaction.get(key, db=generation) == page:
                    transaction.delete(key, db=generation)

    def _fill(
        self, scorer: bytes, name: str, waiting: list[tuple[bytes, Entries]], limit: int
    ) -> list[tuple[bytes, Entries]]:
        """Fill the youngest generation; returns what found no room in it."""
        longest = limit // SHARE // ENTRY.itemsize
        written = time.time_ns()
        number = 0
        with self.writing() as transaction:
            if transaction.get(scorer, db=self.scorers) is None:
                transaction.put(scorer, name.encode("utf-8", "surrogatepass"), db=self.scorers)
            generation = self.generations[self._youngest(transaction)]
            while number < len(waiting) and _bytes_of(transaction, generation) < limit:
                key, entries = waiting[number]
                old = transaction.get(key, db=generation)
                if old is not None and is_intact(key, old):
                    entries = merged(entries_of(old), entries)
                transaction.put(key, packed(key, entries[-longest:], written), db=generation)
                number += 1
        return waiting[number:]

    def _wait_for_room(self) -> None:
        """What was dropped stays taken while a process, alive or killed, still reads it."""
        time.sleep(FULL_SECONDS)
        with locked(self.folder):
            self.environment.reader_check()

    def _turn(self, youngest: int) -> None:
        """Empty the oldest generation and make it the youngest, unless another process has."""
        with self.writing() as transaction:
            if self._youngest(transaction) == youngest:
                oldest = (youngest + 1) % GENERATIONS
                transaction.drop(self.generations[oldest], delete=False)
                transaction.put(YOUNGEST, bytes([oldest]), db=self.scorers)

    def _youngest_now(self) -> int:
        with self.reading() as transaction:
            return self._youngest(transaction)

    def _youngest(self, transaction: Transaction) -> int:
        return (transaction.get(YOUNGEST, db=self.scorers) or b"\0")[0]


@contextmanager
def opened(folder: Path, max_bytes: int) -> Iterator[ScoreFile]:
    """The file in a folder, opened once by each process and again after it was cleared.

    Raises:
        InputError: the folder cannot be made, read or written, or the disk is full.
    """
    with _using, _saying(folder):
        file = _OPEN.get(folder.absolute())
        if file is None or file.identity != _identity(folder):
            _close(folder)
            with locked(folder):
                file = _OPEN[folder.absolute()] = ScoreFile.open(folder, max_bytes)
        file.allow(max_bytes)
        yield file


def exists(folder: Path) -> bool:
    """Whether anything was ever kept here."""
    return (folder / DATA).is_file()


def file_bytes(folder: Path) -> int:
    """Size of the file, nought where there is none."""
    return (folder / DATA).stat().st_size if exists(folder) else 0


def remove(folder: Path) -> None:
    """Delete the file; processes that have it open make a new one at their next use."""
    with _using, _saying(folder), locked(folder):
        # Moved first: a folder appears and disappears whole, its lock always beside its data.
        folder.rename(folder.with_name(f".{folder.name}.cleared-{os.getpid()}-{time.time_ns()}"))
        _close(folder)
        for cleared in folder.parent.glob(f".{folder.name}.cleared-*"):
            shutil.rmtree(cleared)


_OPEN: dict[Path, ScoreFile] = {}
_using = threading.RLock()
"""One thread of a process at a time opens, uses or closes files."""


def _close(folder: Path) -> None:
    if file := _OPEN.pop(folder.absolute(), None):
        file.environment.close()


def _close_before_fork() -> None:
    """A child may neither use nor close what its parent has open; so nothing is."""
    _using.acquire()
    for folder in list(_OPEN):
        _close(folder)


os.register_at_fork(
    before=_close_before_fork, after_in_parent=_using.release, after_in_child=_using.release
)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Alone among all processes to make, remove, open or write the file of a folder."""
    lock = folder.with_name(f".{folder.name}.lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.touch()  # raises where the lock would be waited for without end
    with FileLock(lock).acquire(poll_interval=LOCK_SECONDS):
        yield


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        state = (folder / DATA).stat()
    except FileNotFoundError:
        return None
    return state.st_dev, state.st_ino


def _bytes_of(transaction: Transaction, generation: Generation) -> int:
    size = transaction.stat(generation)
    pages = size["branch_pages"] + size["leaf_pages"] + size["overflow_pages"]
    return pages * size["psize"]


@contextmanager
def _saying(folder: Path) -> Iterator[None]:
    try:
        yield
    except (lmdb.Error, OSError) as error:
        raise InputError(
            f"score cache must be a sound folder on a local disk with room to write,"
            f" got {str(folder)!r}: {error}"
        ) from error
