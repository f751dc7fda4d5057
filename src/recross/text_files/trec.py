"""Lines of runs and of judgments, as trec_eval and BEIR read them."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import NamedTuple

from recross.errors import InputError
from recross.records import Qrels
from recross.text_files.lines import find_line, parse_lines
from recross.text_files.values import check_id, parse_grade, parse_score, split_fields

logger = logging.getLogger(__name__)
RUN_FIELDS = 6
HEADERS = ("score", "relevance")
"""What the last column of BEIR's judgments is called."""


class RunLine(NamedTuple):
    """What counts of a line of a run; neither its second column nor the rank does."""

    query_id: str
    doc_id: str
    score: float
    tag: str


class Judgment(NamedTuple):
    """A line of judgments, and how many columns it has."""

    query_id: str
    doc_id: str
    grade: int
    columns: int


def parse_run_line(line: str) -> RunLine:
    """Read query, ``Q0``, document, rank, score, tag.

    Raises:
        InputError: there are more fields or fewer, or one is unfit.
    """
    fields = split_fields(line)
    if len(fields) != RUN_FIELDS:
        raise InputError(f"expected {RUN_FIELDS} fields, got {len(fields)}")
    query_id, _, doc_id, _, score, tag = fields
    return RunLine(
        check_id(query_id, "query"),
        check_id(doc_id, "document"),
        parse_score(score),
        check_id(tag, "tag"),
    )


def parse_judgment(line: str) -> Judgment:
    """Read TREC's four columns, or BEIR's three.

    Raises:
        InputError: there are more columns or fewer, or one is unfit.
    """
    fields = split_fields(line)
    if len(fields) not in (3, 4):
        raise InputError(f"expected 3 or 4 fields, got {len(fields)}")
    query_id, doc_id = check_id(fields[0], "query"), check_id(fields[-2], "document")
    return Judgment(query_id, doc_id, parse_grade(fields[-1]), len(fields))


def read_qrels(path: Path) -> Qrels:
    """Read judgments: TREC's four columns, or BEIR's three with or without a header line.

    A judgment that stands twice counts once, which is said.

    Raises:
        InputError: the file is missing or holds no judgment, a line is malformed or unlike those
            before it, or a document is judged twice with different grades.
    """
    qrels: dict[str, dict[str, int]] = {}
    columns, judgments = 0, 0
    for line, judgment in parse_lines(path, _parse_judgment_or_header, "qrels file"):
        place = f"{path}:{line.number}"
        if judgment is None and columns:
            raise InputError(f"{place}: a header must be the first line, got {line.text!r:.60}")
        found = len(split_fields(line.text)) if judgment is None else judgment.columns
        if found != (columns := columns or found):
            raise InputError(f"{place}: expected {columns} fields as before, got {found}")
        if judgment is not None:
            judged = qrels.setdefault(judgment.query_id, {})
            if judged.setdefault(judgment.doc_id, judgment.grade) != judgment.grade:
                raise InputError(f"{place}: {_say_contradiction(path, judgment)}")
            judgments += 1
    if not qrels:
        raise InputError(f"qrels file must hold at least one judgment, got none in {str(path)!r}")
    say_repeated(path, judgments - sum(map(len, qrels.values())), "judgments")
    return qrels


def say_repeated(path: Path, count: int, what: str) -> None:
    """Say how many lines of a file repeat others."""
    if count:
        logger.warning("%s: %d %s stand more than once; each counts once", path, count, what)


def _parse_judgment_or_header(line: str) -> Judgment | None:
    """``None``: a header."""
    fields = split_fields(line)
    if len(fields) in (3, 4) and fields[-1].lower() in HEADERS:
        return None
    return parse_judgment(line)


def _say_contradiction(path: Path, judgment: Judgment) -> str:
    query_id, doc_id, grade, _ = judgment
    first = find_line(
        path, _parse_judgment_or_header, lambda one: one is not None and one[:2] == judgment[:2]
    )
    return (
        f"{doc_id!r} must be judged once for {query_id!r}, got the relevance {grade},"
        f" unlike in line {first}"
    )
