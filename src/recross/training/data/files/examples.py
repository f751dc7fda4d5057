"""What lines say: examples, by the ids of a collection or with texts of their own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from recross.collections.collection import Collection
from recross.errors import InputError
from recross.records import TrainingGroup
from recross.text_files.values import parse_decimal


class Example(NamedTuple):
    """A query and its documents, positive first; ids or texts, as the file has them."""

    query: str
    documents: tuple[str, ...]
    labels: tuple[float, ...]
    teacher_scores: tuple[float, ...] | None = None


class LineFormat(Protocol):
    """How lines are read; whoever reads the file adds the place to what is wrong with a line."""

    @property
    def keeps_queries_together(self) -> bool:
        """Whether all lines of a query stand together; each line's ``query_id`` is compared."""

    def parse(self, line: str) -> Any:
        """What a line says.

        Raises:
            InputError: it breaks the format.
        """

    def joins(self, lines: Sequence[Any], line: Any) -> bool:
        """Whether a line belongs to those before it."""

    def examples(self, lines: Sequence[Any]) -> Sequence[Example]:
        """What lines that belong together say; nothing, where none of it is relevant."""


class Naming(Protocol):
    """How an example becomes a training group."""

    def query_text(self, example: Example) -> str:
        """The text of its query.

        Raises:
            InputError: the query is not known.
        """

    def check(self, example: Example) -> None:
        """Refuse an example whose documents are not known, where looking them up costs nothing.

        Raises:
            InputError: a document is not known.
        """

    def group(self, number: int, example: Example) -> TrainingGroup:
        """The group of this number.

        Raises:
            InputError: a document is not known.
        """


@dataclass(frozen=True)
class CollectionIds:
    """Examples hold ids of a collection."""

    collection: Collection

    def query_text(self, example: Example) -> str:
        """Return the text that the collection has for the example's query."""
        if example.query not in self.collection.queries:
            raise InputError(
                f"query must be one of {self.collection.name!r}, got {example.query!r}"
            )
        return self.collection.queries[example.query]

    def check(self, example: Example) -> None:
        """Look documents up in memory; those on disk are looked up when it is their turn."""
        if isinstance(self.collection.documents, dict):
            self._look_up(example)

    def group(self, number: int, example: Example) -> TrainingGroup:
        """The example as it is."""
        self._look_up(example)
        return TrainingGroup(*example)

    def _look_up(self, example: Example) -> None:
        for doc_id in example.documents:
            if doc_id not in self.collection.documents:
                raise InputError(
                    f"document must be one of {self.collection.name!r}, got {doc_id!r}"
                )


@dataclass(frozen=True)
class OwnTexts:
    """Examples hold texts; their ids say where the text is: ``file#group:query``, ``file#group:2``.

    No table of texts is kept, however many there are.
    """

    source: str

    def query_text(self, example: Example) -> str:
        """Return the query itself, which is a text."""
        return example.query

    def check(self, example: Example) -> None:
        """Accept every example: the file brings its own texts."""

    def group(self, number: int, example: Example) -> TrainingGroup:
        """Name the texts of an example by their places in the file."""
        prefix = f"{self.source}#{number}"
        doc_ids = tuple(f"{prefix}:{at}" for at in range(len(example.documents)))
        return TrainingGroup(f"{prefix}:query", doc_ids, example.labels, example.teacher_scores)

    def find(self, text_id: str) -> tuple[int, int | None]:
        """Number of the group, and of the document in it, or ``None`` for the query.

        Raises:
            KeyError: the id is none of this source.
        """
        number, _, suffix = text_id.removeprefix(f"{self.source}#").partition(":")
        is_of_source = text_id.startswith(f"{self.source}#") and number.isdecimal()
        if not is_of_source or not (suffix == "query" or suffix.isdecimal()):
            raise KeyError(text_id)
        return int(number), None if suffix == "query" else int(suffix)


def parse_number(name: str, value: Any) -> float:
    """Return the value as a finite number.

    Raises:
        InputError: it is none.
    """
    match value:
        case str():
            return parse_decimal(value, name)
        case int() | float() if not isinstance(value, bool):
            with suppress(OverflowError):  # a whole number beyond all floats
                if math.isfinite(number := float(value)):
                    return number
    raise InputError(f"{name} must be a finite number, got {value!r:.60}")
