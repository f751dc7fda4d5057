"""Triples: a query, a positive and a negative on each line, apart by tabs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from recross.errors import InputError
from recross.training.data.files.examples import Example, finite
from recross.training.data.files.line_groups import groups_by_id, groups_of_texts
from recross.training.data.files.lines import TextFile
from recross.training.data.training_data import Phases, Task


@dataclass(frozen=True)
class TripleFile:
    """A file of triples; ``lines_per_group`` bounds how many consecutive lines become one group."""

    path: Path
    lines_per_group: int = 1
    negatives: ClassVar[None] = None
    reads_judgments: ClassVar[bool] = False
    may_be_taught: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_lines_per_group(self.lines_per_group)

    def _lines(self, read: Callable[[str], Example], task: Task) -> tuple[TextFile, TripleLines]:
        """The file, and how its lines are read."""
        return TextFile.at(self.path, task.store), TripleLines(read, self.lines_per_group)


@dataclass(frozen=True)
class Triples(TripleFile):
    """Ids as ``query <tab> positive <tab> negative``, such as MS MARCO's ``qidpidtriples``.

    Up to ``lines_per_group`` consecutive lines of one query and positive become one group.
    """

    def phases(self, task: Task) -> Phases:
        """The groups of the file, which brings its own negatives."""
        return groups_by_id(self, *self._lines(triple, task), task)


@dataclass(frozen=True)
class TextTriples(TripleFile):
    """Texts as ``query <tab> positive <tab> negative``, such as MS MARCO's ``triples.train.small``.

    The texts need not be in the collection. Up to ``lines_per_group`` consecutive lines of one
    query and positive become one group.
    """

    def phases(self, task: Task) -> Phases:
        """The groups of the file, which brings its own negatives."""
        return groups_of_texts(self, *self._lines(triple, task), task)


@dataclass(frozen=True)
class ScoredTriples(TripleFile):
    """Ids after a teacher's scores: ``score, score, query, positive, negative``, apart by tabs.

    The first score is that of the positive. So Hofstätter et al. (2020) publish the ensemble that
    MarginMSE learns from. Up to ``lines_per_group`` consecutive lines of one query and positive
    become one group.
    """

    may_be_taught: ClassVar[bool] = True

    def phases(self, task: Task) -> Phases:
        """The groups of the file, which brings its own negatives."""
        return groups_by_id(self, *self._lines(scored_triple, task), task)


@dataclass(frozen=True)
class TripleLines:
    """Lines of one negative each."""

    read: Callable[[str], Example]
    lines_per_group: int
    keeps_queries_together: ClassVar[bool] = False

    def parse(self, line: str) -> Example:
        """An example of two documents."""
        return self.read(line)

    def joins(self, lines: Sequence[Example], line: Example) -> bool:
        """Whether query and positive are the same, and there is room."""
        first = lines[0]
        is_same = first.query == line.query and first.documents[0] == line.documents[0]
        return is_same and len(lines) < self.lines_per_group

    def examples(self, lines: Sequence[Example]) -> list[Example]:
        """The positive with all negatives; its score is that of the first line."""
        first, *more = lines
        scores = first.teacher_scores
        if scores is not None:
            scores += tuple(line.teacher_scores[1] for line in more if line.teacher_scores)
        return [
            Example(
                first.query,
                first.documents + tuple(line.documents[1] for line in more),
                first.labels + (0.0,) * len(more),
                scores,
            )
        ]


def triple(line: str) -> Example:
    """Read ``query, positive, negative``."""
    query, positive, negative = _fields(line, "query", "positive", "negative")
    return Example(query, (positive, negative), (1.0, 0.0))


def scored_triple(line: str) -> Example:
    """Read ``score, score, query, positive, negative``."""
    names = ("score of the positive", "score of the negative", "query", "positive", "negative")
    high, low, query, positive, negative = _fields(line, *names)
    scores = (finite(names[0], high), finite(names[1], low))
    return Example(query, (positive, negative), (1.0, 0.0), scores)


def check_lines_per_group(value: int) -> None:
    """Refuse groups of no line.

    Raises:
        InputError: it is below 1.
    """
    if value < 1:
        raise InputError(f"lines_per_group must be at least 1, got {value}")


def _fields(line: str, *names: str) -> list[str]:
    fields = [field.strip() for field in line.split("\t")]
    if len(fields) != len(names):
        raise InputError(
            f"expected {len(names)} fields apart by tabs ({', '.join(names)}), got {len(fields)}"
        )
    for name, field in zip(names, fields, strict=True):
        if not field:
            raise InputError(f"{name} must not be empty, got {line!r:.60}")
    return fields
