"""Fills the file of the score cache, and drops the oldest scores when it is time."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from recross.inference.cache.score_file import (
    GENERATIONS,
    YOUNGEST,
    FileIsFull,
    Generation,
    ScoreFile,
    Transaction,
    hold_lock,
)
from recross.inference.cache.score_pages import (
    ENTRY,
    Entries,
    is_intact,
    lay_out_page,
    merge_entries,
    read_entries,
)

SHARE = 8
"""A generation may fill 1 / SHARE of the file: LMDB writes what it changes to other places."""
FULL_SECONDS = 0.05
"""Pause before a full file is tried again: reading a batch takes a few hundredths of a second."""
FULL_TRIES = 40
DROP_EVERY = 20


@dataclass(frozen=True)
class PageWriter:
    """Writes the pages of one scorer into a file that stays below ``max_bytes``."""

    file: ScoreFile
    scorer: bytes
    """The digest of the scorer's name."""
    name: str
    max_bytes: int

    def write(self, pages: Iterable[tuple[bytes, Entries]]) -> None:
        """Add entries to pages by their keys, dropping the oldest generation when it is time.

        All of it is committed on return, in as few transactions as the room allows.
        """
        waiting = list(pages)
        tries = 0
        while waiting:
            with self.file.reading() as transaction:
                youngest = self.file.youngest(transaction)
            try:
                waiting = self._fill(waiting, self.max_bytes // SHARE)
                if waiting:
                    self._turn_generation(youngest)
            except FileIsFull:
                if tries == FULL_TRIES:
                    raise
                self._wait_for_room()
                if tries % DROP_EVERY == 0:
                    with suppress(FileIsFull):  # dropping takes a little room too
                        self._turn_generation(youngest)
                tries += 1

    def _fill(
        self, waiting: list[tuple[bytes, Entries]], limit: int
    ) -> list[tuple[bytes, Entries]]:
        """Fill the youngest generation; returns what found no room in it."""
        longest = limit // SHARE // ENTRY.itemsize
        written = time.time_ns()
        number = 0
        with self.file.writing() as transaction:
            if transaction.get(self.scorer, db=self.file.scorers) is None:
                name = self.name.encode("utf-8", "surrogatepass")
                transaction.put(self.scorer, name, db=self.file.scorers)
            generation = self.file.generations[self.file.youngest(transaction)]
            while number < len(waiting) and _measure_generation(transaction, generation) < limit:
                key, entries = waiting[number]
                old = transaction.get(key, db=generation)
                if old is not None and is_intact(key, old):
                    entries = merge_entries(read_entries(old), entries)
                transaction.put(key, lay_out_page(key, entries[-longest:], written), db=generation)
                number += 1
        return waiting[number:]

    def _wait_for_room(self) -> None:
        """Wait for dropped pages to be free: processes that read them hold them, even if killed."""
        time.sleep(FULL_SECONDS)
        with hold_lock(self.file.folder):
            self.file.environment.reader_check()

    def _turn_generation(self, youngest: int) -> None:
        """Empty the oldest generation and make it the youngest, unless another process has."""
        with self.file.writing() as transaction:
            if self.file.youngest(transaction) == youngest:
                oldest = (youngest + 1) % GENERATIONS
                transaction.drop(self.file.generations[oldest], delete=False)
                transaction.put(YOUNGEST, bytes([oldest]), db=self.file.scorers)


def _measure_generation(transaction: Transaction, generation: Generation) -> int:
    size = transaction.stat(generation)
    pages = size["branch_pages"] + size["leaf_pages"] + size["overflow_pages"]
    return pages * size["psize"]
