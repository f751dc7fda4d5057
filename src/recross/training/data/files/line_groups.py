"""Training groups that are read from their lines when asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, overload

from recross.collections.collection import Texts
from recross.errors import InputError
from recross.parts.identity import fingerprint
from recross.records import JsonObject, TrainingGroup
from recross.store import read_manifest
from recross.text_files.lines import Line
from recross.training.data.files.examples import (
    CollectionIds,
    Example,
    LineFormat,
    Naming,
    OwnTexts,
)
from recross.training.data.files.lines import (
    ExampleLocation,
    IndexedLines,
    IndexWriter,
    TextFile,
)
from recross.training.data.groups import TrainingGroups
from recross.training.data.leaks import Leaks
from recross.training.data.phases import Phase
from recross.training.data.training_data import Task

INDEX = "index"
REASONS = (
    "in_evaluation_split",
    "without_positive",
    "without_negatives",
    "positive_among_negatives",
)
RECENT = 1024
"""Examples kept, so that a step reads the lines of its texts once."""


@dataclass(frozen=True, eq=False)
class LineGroups(Sequence[TrainingGroup]):
    """Groups by number; only lines that are asked for are parsed."""

    lines: IndexedLines
    form: LineFormat
    naming: Naming

    def __len__(self) -> int:
        return len(self.lines)

    @overload
    def __getitem__(self, number: int) -> TrainingGroup: ...
    @overload
    def __getitem__(self, number: slice) -> Sequence[TrainingGroup]: ...
    def __getitem__(self, number: int | slice) -> TrainingGroup | Sequence[TrainingGroup]:
        if isinstance(number, slice):
            return [self[n] for n in range(*number.indices(len(self)))]
        if not -len(self) <= number < len(self):
            raise IndexError(number)
        number %= len(self)
        try:
            return self.naming.group(number, self.example(number))
        except InputError as error:
            raise _locate(self.lines.file, self.lines[number].line, error) from None

    def example(self, number: int) -> Example:
        """What the lines of a group say."""
        return self._recent(number)

    @cached_property
    def _recent(self) -> Callable[[int], Example]:
        return lru_cache(maxsize=RECENT)(self._read)

    def _read(self, number: int) -> Example:
        row = self.lines[number]
        parsed = [self.form.parse(line) for line in self.lines.text(row)]
        return self.form.examples(parsed)[row.which]

    def __reduce__(self) -> tuple[object, ...]:
        return LineGroups, (self.lines, self.form, self.naming)


@dataclass(frozen=True, eq=False)
class TextsOfLines(Mapping[str, str]):
    """Texts of queries and documents by their places in a file."""

    groups: LineGroups
    naming: OwnTexts

    def __getitem__(self, text_id: str) -> str:
        number, at = self.naming.find(text_id)
        if number >= len(self.groups):
            raise KeyError(text_id)
        example = self.groups.example(number)
        texts = (example.query,) if at is None else example.documents
        if (at or 0) >= len(texts):
            raise KeyError(text_id)
        return texts[at or 0]

    def __iter__(self) -> Iterator[str]:
        for group in self.groups:
            yield group.query_id
            yield from group.doc_ids

    def __len__(self) -> int:
        return sum(1 for _ in self)


def read_groups_by_id(data: object, file: TextFile, form: LineFormat, task: Task) -> list[Phase]:
    """The groups of a file that names queries and documents of the collection."""
    groups, left_out = _read_groups(data, file, form, CollectionIds(task.collection), task)
    return [Phase("all", TrainingGroups(groups, left_out, on_disk=True))]


def read_groups_of_texts(data: object, file: TextFile, form: LineFormat, task: Task) -> list[Phase]:
    """The groups of a file that brings its own texts."""
    naming = OwnTexts(file.name)
    groups, left_out = _read_groups(data, file, form, naming, task)
    by_place = TextsOfLines(groups, naming)
    texts = Texts(groups.lines.index.parent.name, by_place, by_place)
    return [Phase("all", TrainingGroups(groups, left_out, on_disk=True, texts=texts))]


def _read_groups(
    data: object, file: TextFile, form: LineFormat, naming: Naming, task: Task
) -> tuple[LineGroups, Mapping[str, int]]:
    """Groups through an index, made where the store has none: then every line is checked.

    Raises:
        InputError: a line is wrong, nothing is left to learn from, or queries that evaluation
            asks are to be refused.
    """
    identity = {
        "data": data,
        "collection": task.collection.fingerprint,
        "relevant_from": task.collection.relevant_grade(task.split),
        "split": task.split,
        "asked": fingerprint(task.leaks.evaluation_texts),
    }
    folder = task.store.artefact(
        "training_index",
        identity,
        lambda folder: _write_index(folder / INDEX, file, form, naming, task.leaks),
    )
    left_out: dict[str, int] = read_manifest(folder)["left_out"]
    if task.leak_policy == "refuse" and left_out["in_evaluation_split"]:
        raise InputError(
            "leaks must be leave_out where training and evaluation share queries, got 'refuse'"
            f" with {left_out['in_evaluation_split']} groups of such queries in {file.name}"
        )
    groups = LineGroups(IndexedLines(file, folder / INDEX), form, naming)
    groups[0]  # ids of another collection are refused before any work
    return groups, left_out


def _write_index(
    path: Path, file: TextFile, form: LineFormat, naming: Naming, leaks: Leaks
) -> JsonObject:
    """Write a row for each example to learn from; count what is left out, and why."""
    selection = _Selection(form, naming, leaks)
    with IndexWriter(path) as index:
        for row, parsed in _blocks(file, form):
            try:
                kept = selection.select(parsed)
            except InputError as error:
                raise _locate(file, row.line, error) from None
            for which in kept:
                index.append(row._replace(which=which))
    if not index.rows:
        raise InputError(
            f"{file.name} must hold something to learn from, got none ({selection.left_out})"
        )
    return {"groups": index.rows, "left_out": selection.left_out}


class _Selection:
    """What of the examples is learned from; counts what is not."""

    def __init__(self, form: LineFormat, naming: Naming, leaks: Leaks) -> None:
        self._form, self._naming, self._leaks = form, naming, leaks
        self._is_taught: bool | None = None
        self._seen: set[str] = set()
        self.left_out = dict.fromkeys(REASONS, 0)

    def select(self, lines: Sequence[Any]) -> list[int]:
        """Return which examples of lines that belong together are learned from."""
        if self._form.keeps_queries_together:
            self._check_is_new(lines[0].query_id)
        examples = self._form.examples(lines)
        self.left_out["without_positive"] += not examples
        kept = []
        for which, example in enumerate(examples):
            if self._leaks.asks(self._naming.query_text(example)):
                self.left_out["in_evaluation_split"] += 1
            elif len(example.documents) < 2:
                self.left_out["without_negatives"] += 1
            elif example.documents[0] in example.documents[1:]:
                self.left_out["positive_among_negatives"] += 1
            else:
                self._naming.check(example)
                self._check_scores(example.teacher_scores)
                kept.append(which)
        return kept

    def _check_is_new(self, query: str) -> None:
        if query in self._seen:
            raise InputError(f"lines of a query must stand together, got {query!r} again")
        self._seen.add(query)

    def _check_scores(self, scores: tuple[float, ...] | None) -> None:
        if self._is_taught is None:
            self._is_taught = scores is not None
        if self._is_taught != (scores is not None):
            raise InputError(
                "a teacher's scores must come with every line of a file or with none,"
                f" got {scores}, unlike before"
            )


def _blocks(file: TextFile, form: LineFormat) -> Iterator[tuple[ExampleLocation, list[Any]]]:
    """Yield the lines that make up a group, with where they lie in the file."""
    block: list[Any] = []
    first = last = Line(0, 0, 0, "")
    for line in file:
        try:
            parsed = form.parse(line.text)
        except InputError as error:
            raise _locate(file, line.number, error) from None
        if block and not form.joins(block, parsed):
            yield ExampleLocation(first.start, last.end, first.number, 0), block
            block = []
        first, last = first if block else line, line
        block.append(parsed)
    if block:
        yield ExampleLocation(first.start, last.end, first.number, 0), block


def _locate(file: TextFile, line: int, error: InputError) -> InputError:
    """Return the same problem with the line that it is in."""
    return InputError(f"{file.name}:{line}: {error}")
