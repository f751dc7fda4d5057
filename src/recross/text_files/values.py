"""Ids and numbers as the formats of the field have them, and no wider."""

from __future__ import annotations

import math
import re

from recross.errors import InputError

LEAST_GRADE, GREATEST_GRADE = -2, 10_000
"""Of judgments: trec_eval gives meaning to -1 and -2 alone below zero. It counts the documents of
every grade up to the greatest: nDCG with one of 100,000 takes ten seconds a query, and beyond 32
bits the code in C ends the process without a word."""

LARGEST_SINGLE = 3.4028235677973362e38
"""Below it a number rounds to a finite one in single precision, which runs are held in."""

_UNFIT = re.compile(r"[\s\x00-\x20\x7f-\x9f\ufeff\ud800-\udfff]")
_WHOLE = re.compile(r"[+-]?[0-9]{1,20}", re.ASCII)


def split_fields(line: str) -> list[str]:
    """The fields of a line, apart by ASCII blanks and tabs alone."""
    fields = line.replace("\t", " ").split(" ")
    return [field for field in fields if field] if "" in fields else fields


def check_id(identifier: str, name: str = "id") -> str:
    """Return an identifier that every file of the field can hold.

    Raises:
        InputError: it is empty, or has a blank, a line break, a control character, a byte order
            mark or half a character (a lone surrogate) in it.
    """
    if identifier and identifier.isprintable() and " " not in identifier:
        return identifier
    if not identifier:
        raise InputError(f"{name} must not be empty, got {identifier!r}")
    if _UNFIT.search(identifier):
        raise InputError(
            f"{name} must hold no blanks, line breaks or control characters, got {identifier!r:.60}"
        )
    return identifier


def is_fit_id(identifier: str) -> bool:
    """Whether ``check_id`` takes it."""
    return bool(identifier) and not _UNFIT.search(identifier)


def make_fit(name: str) -> str:
    """A name that ``check_id`` takes: what it refuses is ``_``, or at the ends nothing."""
    return "_".join(part for part in _UNFIT.split(name) if part)


def check_text(text: str, name: str = "text") -> str:
    """Return a text that can be written as UTF-8.

    Raises:
        InputError: it holds half a character, as an escape such as ``\\ud800`` makes it.
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        near = text[max(error.start - 20, 0) : error.start + 20]
        raise InputError(f"{name} must hold no lone surrogate, got {near!r}") from None
    return text


def parse_decimal(text: str, name: str = "score") -> float:
    """Return the finite number that ASCII digits say.

    Raises:
        InputError: the text says none; ``1_0``, ``0x1`` and digits of other scripts do not.
    """
    try:
        number = float(text) if text.isascii() and "_" not in text else math.nan
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or text != text.strip():
        raise InputError(f"{name} must be a finite number, got {text!r:.60}")
    return number


def parse_score(text: str) -> float:
    """Return a score of a run.

    Raises:
        InputError: it is no number that single precision holds.
    """
    score = parse_decimal(text)
    if not -LARGEST_SINGLE < score < LARGEST_SINGLE:
        raise InputError(f"score must be finite in single precision, got {text!r:.60}")
    return score


def parse_grade(text: str) -> int:
    """Return the relevance that a judgment says.

    Raises:
        InputError: it is no whole number, or none of those that measures are computed from.
    """
    if not _WHOLE.fullmatch(text):
        raise InputError(f"relevance must be a whole number, got {text!r:.60}")
    return check_grade(int(text))


def check_grade(grade: int) -> int:
    """Return a relevance that measures can be computed from.

    Raises:
        InputError: it lies outside the range; negative ones are not relevant, as in trec_eval.
    """
    if not LEAST_GRADE <= grade <= GREATEST_GRADE:
        raise InputError(
            f"relevance must be a whole number from {LEAST_GRADE} to {GREATEST_GRADE}, got {grade}"
        )
    return grade
