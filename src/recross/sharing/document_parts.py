"""What is made of all documents of a collection, in parts that any process can make."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from recross.artefacts.inventory import StoredFolder
from recross.errors import RunError
from recross.parts.identity import describe
from recross.records import JsonObject
from recross.sharing.work import SharedWork
from recross.writing.progress import progress

MakePart = Callable[[range, Path], JsonObject]
"""Makes a part of these documents, by number, in a folder; returns entries for its manifest."""

FEWEST_PER_PART, PARTS = 1_000, 64
"""Smaller collections have so many parts, for processes to share, or as few documents in each."""


def choose_part_size(documents: int, most: int) -> int:
    """How many of a collection's documents are encoded together, at most ``most``."""
    return min(most, max(FEWEST_PER_PART, -(-documents // PARTS)))


@dataclass(frozen=True)
class DocumentParts(SharedWork):
    """Parts of so many ``documents`` each, until the artefact ``whole`` is put together of them.

    ``identity`` is what the whole follows from. Whoever puts it together takes every part that is
    there, and makes the others itself.
    """

    doing: ClassVar[str] = "encoding"
    unit: ClassVar[str] = "part"

    whole: str
    identity: JsonObject
    documents: int
    documents_per_part: int
    make_part: MakePart

    @property
    def kind(self) -> str:
        """That of the whole, in parts."""
        return f"{self.whole}_parts"

    def __len__(self) -> int:
        return -(-self.documents // self.documents_per_part)

    def identify(self, number: int) -> JsonObject:
        """What the whole follows from, and which documents these are."""
        span = self.span(number)
        return {"whole": self._described, "first": span.start, "stop": span.stop}

    def span(self, number: int) -> range:
        """The documents of a part, by number."""
        first = number * self.documents_per_part
        return range(first, min(first + self.documents_per_part, self.documents))

    def fill(self, number: int, folder: Path) -> JsonObject:
        """Make a part."""
        return self.make_part(self.span(number), folder)

    def is_finished(self, number: int) -> bool:
        """Whether a part has been made, or all of them have been put together."""
        return self.store.find(self.whole, self._described) is not None or super().is_finished(
            number
        )

    def join(self, make: Callable[[Path], JsonObject]) -> Path:
        """The folder of the whole, which ``make`` fills unless it is there; parts then go."""
        made: list[Path] = []

        def fill(folder: Path) -> JsonObject:
            made.append(folder)
            return make(folder)

        folder = self.store.artefact(self.whole, self.identity, fill, resumable=True)
        for number in range(len(self)) if made else ():
            self.drop(number)
        return folder

    def make_all(self) -> None:
        """Make every part that is missing."""
        with progress(self.documents, self.doing, "document") as bar:
            for number in range(len(self)):
                self.make(number)
                bar.update(len(self.span(number)))

    def find_made(self, number: int) -> Path:
        """The folder of a part that was made.

        Raises:
            RunError: somebody has deleted it, or damaged it.
        """
        if (folder := self.find(number)) is None:
            raise RunError(
                f"every part of {self.whole} must be in the store until they are put together, got"
                f" none of number {number}; run the same command again to go on"
            )
        return folder

    def drop(self, number: int) -> None:
        """Delete a part that has found its place in the whole."""
        if (folder := self.find(number)) is not None:
            StoredFolder(folder).delete()

    @cached_property
    def _described(self) -> JsonObject:
        described: JsonObject = describe(self.identity)
        return described
