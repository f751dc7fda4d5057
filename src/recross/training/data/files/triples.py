"""Triples: a query, a positive and a negative on each line, apart by tabs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from recross.errors import InputError
from recross.parts.bounds import Ge, checked
from recross.training.data.files.examples import Example, parse_number
from recross.training.data.files.line_groups import read_groups_by_id, read_groups_of_texts
from recross.training.data.files.lines import TextFile
from recross.training.data.phases import Phase
from recross.training.data.training_data import Task


@dataclass(frozen=True)
@checked
class TripleFile:
    """A file of triples; ``lines_per_group`` bounds how many consecutive lines become one group."""

    path: Path
    lines_per_group: Annotated[int, Ge(1)] = 1
    negatives: ClassVar[None] = None
    reads_judgments: ClassVar[bool] = False
    may_be_taught: ClassVar[bool] = False

    def _lines(self, read: Callable[[str], Example], task: Task) -> tuple[TextFile, TripleLines]:
        """Return the file, and how its lines are read."""
        return TextFile.at(self.path, task.store), TripleLines(read, self.lines_per_group)


@dataclass(frozen=True)
class Triples(TripleFile):
    """Ids as ``query <tab> positive <tab> negative``, such as MS MARCO's ``qidpidtriples``.

    Up to ``lines_per_group`` consecutive lines of one query and positive become one group.
    """

    def make_phases(self, task: Task) -> list[Phase]:
        """The groups of the file, which brings its own negatives."""
        return read_groups_by_id(self, *self._lines(parse_triple, task), task)


@dataclass(frozen=True)
class TextTriples(TripleFile):
    """Texts as ``query <tab> positive <tab> negative``, such as MS MARCO's ``triples.train.small``.

    The texts need not be in the collection. Up to ``lines_per_group`` consecutive lines of one
    query and positive become one group.
    """

    def make_phases(self, task: Task) -> list[Phase]:
        """The groups of the file, which brings its own negatives."""
        return read_groups_of_texts(self, *self._lines(parse_triple, task), task)


@dataclass(frozen=True)
class ScoredTriples(TripleFile):
    """Ids after a teacher's scores: ``score, score, query, positive, negative``, apart by tabs.

    The first score is that of the positive. So Hofstätter et al. (2020) publish the ensemble that
    MarginMSE learns from. Up to ``lines_per_group`` consecutive lines of one query and positive
    become one group.
    """

    may_be_taught: ClassVar[bool] = True

    def make_phases(self, task: Task) -> list[Phase]:
        """The groups of the file, which brings its own negatives."""
        return read_groups_by_id(self, *self._lines(parse_scored_triple, task), task)


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


def parse_triple(line: str) -> Example:
    """Read a line that holds ``query, positive, negative``."""
    query, positive, negative = _split(line, "query", "positive", "negative")
    return Example(query, (positive, negative), (1.0, 0.0))


def parse_scored_triple(line: str) -> Example:
    """Read a line that holds ``score, score, query, positive, negative``."""
    names = ("score of the positive", "score of the negative", "query", "positive", "negative")
    high, low, query, positive, negative = _split(line, *names)
    scores = (parse_number(names[0], high), parse_number(names[1], low))
    return Example(query, (positive, negative), (1.0, 0.0), scores)


def _split(line: str, *names: str) -> list[str]:
    fields = [field.strip(" ") for field in line.split("\t")]
    if len(fields) != len(names):
        raise InputError(
            f"expected {len(names)} fields apart by tabs ({', '.join(names)}), got {len(fields)}"
        )
    for name, field in zip(names, fields, strict=True):
        if not field.strip():
            raise InputError(f"{name} must not be empty, got {line!r:.60}")
    return fields
