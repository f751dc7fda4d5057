"""Documents of a collection by number, in its order."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Protocol, runtime_checkable

IdsAndTexts = list[tuple[str, str]]


@runtime_checkable
class NumberedDocuments(Protocol):
    """Documents that are found by number without those before them."""

    def read_span(self, span: range) -> IdsAndTexts:
        """Identifiers and texts of neighbouring documents."""


class DocumentSpans:
    """Spans of documents, each read on from the last one where it lies behind it.

    A collection that is read from a foreign store may hold fewer documents than it says, or more:
    spans behind its end are empty, and the last one takes all that are left.
    """

    def __init__(self, documents: Mapping[str, str]) -> None:
        self._documents = documents
        self._pairs, self._next = iter(documents.items()), 0

    def read(self, span: range) -> IdsAndTexts:
        """Identifiers and texts of neighbouring documents, without a look at any one by its id."""
        if isinstance(self._documents, NumberedDocuments):
            return self._documents.read_span(span)
        if span.start < self._next:
            self._pairs, self._next = iter(self._documents.items()), 0
        stop = span.stop - self._next if span.stop < len(self._documents) else None
        found = list(islice(self._pairs, span.start - self._next, stop))
        self._next = span.stop
        return found
