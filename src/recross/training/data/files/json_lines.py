"""JSON lines of texts, as sentence-transformers and FlagEmbedding keep them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from recross.errors import InputError
from recross.parts.bounds import checked
from recross.records import Json, JsonObject
from recross.text_files.json_records import parse_record
from recross.text_files.values import check_text
from recross.training.data.files.examples import Example, parse_number
from recross.training.data.files.line_groups import read_groups_of_texts
from recross.training.data.files.lines import TextFile
from recross.training.data.phases import Phase
from recross.training.data.training_data import Task

_Record = JsonObject
POSITIVE, NEGATIVE = ("positive", "pos"), ("negative", "neg")
NUMBERED = "negative_"
SCORES = ("scores", "score", "labels", "label")
OF_POSITIVES, OF_NEGATIVES = "pos_scores", "neg_scores"
TeacherScores = tuple[float, ...]


@dataclass(frozen=True)
@checked
class JsonLines:
    """An object a line: ``query``, ``positive`` or ``pos``, ``negative`` or ``neg``.

    The last two are a text or a list of texts; ``negative_1``, ``negative_2``, ... are negatives,
    too. Each positive becomes a group with all negatives of its line. A teacher's scores, on every
    line or on none, are ``pos_scores`` with ``neg_scores`` (FlagEmbedding), or, beside a single
    positive, ``scores`` or ``label``: one for each document, or one for each negative, which is
    then the positive's margin over it (sentence-transformers). Other keys are not read.
    """

    path: Path
    negatives: ClassVar[None] = None
    reads_judgments: ClassVar[bool] = False
    may_be_taught: ClassVar[bool] = True

    def make_phases(self, task: Task) -> list[Phase]:
        """The groups of the file, which brings its own negatives."""
        return read_groups_of_texts(self, TextFile.at(self.path, task.store), JsonFormat(), task)


@dataclass(frozen=True)
class JsonFormat:
    """Each line says everything of its query."""

    keeps_queries_together: ClassVar[bool] = False

    def parse(self, line: str) -> list[Example]:
        """One example for each positive."""
        record = parse_record(line)
        query = _read_query(record)
        positives, negatives = _read_texts(record, POSITIVE), _read_negatives(record)
        labels = (1.0, *(0.0 for _ in negatives))
        return [
            Example(query, (positive, *negatives), labels, scores)
            for positive, scores in zip(
                positives, _read_scores(record, len(positives), len(negatives)), strict=True
            )
        ]

    def joins(self, lines: Sequence[list[Example]], line: list[Example]) -> bool:
        """Return false: every line stands alone."""
        return False

    def examples(self, lines: Sequence[list[Example]]) -> list[Example]:
        """Return the examples of the one line."""
        return lines[0]


def _read_query(record: _Record) -> str:
    match query := record.get("query"):
        case str() if query.strip():
            return check_text(query, "query")
    raise InputError(f"query must be a text that is not empty, got {query!r:.60}")


def _find_given(record: _Record, names: Sequence[str]) -> tuple[str, Json]:
    """The one of these keys that has a value, and the value; ``None``: none has."""
    given = [(name, record[name]) for name in names if record.get(name) is not None]
    if len(given) > 1:
        raise InputError(
            f"only one of {', '.join(names)} may be given, got {' and '.join(dict(given))}"
        )
    return given[0] if given else (names[0], None)


def _read_texts(record: _Record, names: Sequence[str]) -> tuple[str, ...]:
    name, value = _find_given(record, names)
    match value:
        case str() if value.strip():
            return (check_text(value, name),)
        case list() if all(isinstance(text, str) and text.strip() for text in value):
            return tuple(check_text(text, name) for text in value)
    raise InputError(
        f"{' or '.join(names)} must be a text or a list of texts that are not empty,"
        f" got {name}={value!r:.60}"
    )


def _read_negatives(record: _Record) -> tuple[str, ...]:
    keys: list[Sequence[str]] = [(name,) for name in record if name.startswith(NUMBERED)]
    if not keys or any(name in record for name in NEGATIVE):
        keys = [NEGATIVE, *keys]
    return tuple(text for names in keys for text in _read_texts(record, names))


def _read_scores(record: _Record, positives: int, negatives: int) -> list[TeacherScores | None]:
    """The scores of each positive and its negatives."""
    name, value = _find_given(record, SCORES)
    by_kind = [_read_numbers(record, key) for key in (OF_POSITIVES, OF_NEGATIVES)]
    if value is not None and any(by_kind):
        raise InputError(f"scores must be given once, got {name} beside those of positives")
    if value is not None:
        return [_read_of_one_positive(name, value, positives, negatives)]
    if not any(by_kind):
        return [None] * positives
    of_positives, of_negatives = by_kind
    if (len(of_positives), len(of_negatives)) != (positives, negatives):
        raise InputError(
            f"{OF_POSITIVES} and {OF_NEGATIVES} must hold one score per document"
            f" ({positives} and {negatives}), got {len(of_positives)} and {len(of_negatives)}"
        )
    return [(score, *of_negatives) for score in of_positives]


def _read_of_one_positive(name: str, value: Json, positives: int, negatives: int) -> TeacherScores:
    given = value if isinstance(value, list) else [value]
    scores = tuple(parse_number(name, number) for number in given)
    if positives != 1 or len(scores) not in (negatives, negatives + 1):
        raise InputError(
            f"{name} must stand beside one positive, one for each document or for each negative"
            f" ({negatives}), got {len(scores)} beside {positives} positives"
        )
    return scores if len(scores) > negatives else (0.0, *(-margin for margin in scores))


def _read_numbers(record: _Record, name: str) -> TeacherScores:
    match value := record.get(name):
        case None:
            return ()
        case list():
            return tuple(parse_number(name, number) for number in value)
    raise InputError(f"{name} must be a list of numbers, got {value!r:.60}")
