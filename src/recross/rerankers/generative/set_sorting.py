"""Sorting by asking which of a few documents is the best (Setwise, Zhuang et al. 2024).

A strategy is a generator: it yields sets of documents, is sent which of each is the best, and at
last returns the best documents in order. It never sees the model, so the sets that all queries want
at the same time are asked together.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Annotated, Protocol, runtime_checkable

from recross.parts.bounds import Ge, Le, checked

MOST_CHILDREN = 25
"""With the one that they are compared with, as many as there are letters to call them by."""

Sets = list[list[int]]
"""Positions of documents to choose from; of each set the present best stands first."""

SetRounds = Generator[Sets, Sequence[int], list[int]]
"""One query's sort: yields sets, never none, takes the best place of each, returns positions."""


@runtime_checkable
class SetwiseStrategy(Protocol):
    """Decides which documents to compare at once, and sorts by the answers."""

    def sort(self, count: int) -> SetRounds:
        """The best of ``count`` documents by position, 0 being the best of the first stage."""


@dataclass(frozen=True)
@checked
class HeapSort:
    """A heap in which each document has ``children`` below it; the best ``top`` are taken out.

    A comparison is of a document with all its children. While the heap is built those of a level
    are asked together, which changes no answer. Documents that are not among the best ``top`` keep
    the first stage's order.
    """

    top: Annotated[int, Ge(1)] = 10
    children: Annotated[int, Ge(1), Le(MOST_CHILDREN)] = 3

    def sort(self, count: int) -> SetRounds:
        """Build the heap, then take out its root and let the last document sink, over and over."""
        order = list(range(count))
        for level in reversed(self._levels(count)):
            yield from self._sink(order, count, level)
        for last in range(count - 1, max(count - 1 - self.top, 0), -1):
            order[0], order[last] = order[last], order[0]
            if last > max(count - self.top, 0):
                yield from self._sink(order, last, [0])
        return order[::-1][: self.top]

    def _levels(self, count: int) -> list[list[int]]:
        """Places of the heap by their distance from the root."""
        levels, first, size = [], 0, 1
        while first < count:
            levels.append(list(range(first, min(first + size, count))))
            first, size = first + size, size * self.children
        return levels

    def _sink(
        self, order: list[int], count: int, places: Sequence[int]
    ) -> Generator[Sets, Sequence[int], None]:
        """Exchange the document at each place with its best child, until it is the best itself."""
        while families := [
            [place, *range(first, min(first + self.children, count))]
            for place in places
            if (first := self.children * place + 1) < count
        ]:
            best = yield [[order[place] for place in family] for family in families]
            places = []
            for family, winner in zip(families, best, strict=True):
                place, child = family[0], family[winner]
                if child != place:
                    order[place], order[child] = order[child], order[place]
                    places.append(child)


@dataclass(frozen=True)
@checked
class BubbleSort:
    """Passes from the bottom, each of which carries one more document to the ``top``.

    A comparison is of ``children`` documents with the one above them, whose place the best of them
    takes. What was asked before in the same order is not asked again.
    """

    top: Annotated[int, Ge(1)] = 10
    children: Annotated[int, Ge(1), Le(MOST_CHILDREN)] = 3

    def sort(self, count: int) -> SetRounds:
        """Carry the best of the documents that are left to the top, pass after pass."""
        order = list(range(count))
        known: dict[tuple[int, ...], int] = {}
        for settled in range(min(self.top, count - 1)):
            stop = count
            while stop > settled + 1:
                start = max(stop - self.children - 1, settled)
                compared = tuple(order[start:stop])
                if compared not in known:
                    (known[compared],) = yield [list(compared)]
                best = start + known[compared]
                order[start], order[best] = order[best], order[start]
                stop = start + 1
        return order[: self.top]
