"""Golden scores: what published checkpoints are known to answer, checked where they are at hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from recross.checkpoints.location import is_at_hand
from recross.checkpoints.published import PUBLISHED, find_published
from recross.checkpoints.published.record import GoldenScore
from recross.command.loading import load_reranker
from recross.errors import InputError
from recross.text_files.csv_lines import read_csv_lines
from recross.text_files.values import parse_decimal
from recross.writing.alignment import MISSING, align_table

GOLDEN_COLUMNS = ("checkpoint", "query", "document", "score", "tolerance", "source")


@dataclass(frozen=True)
class GoldenVerdict:
    """A checkpoint's golden score beside ours; ``None``: the checkpoint is not at hand."""

    checkpoint: str
    golden: GoldenScore
    measured: float | None

    @property
    def verdict(self) -> Literal["met", "missed", "skipped"]:
        """Whether ours is near enough."""
        if self.measured is None:
            return "skipped"
        near = abs(self.measured - self.golden.score) <= self.golden.tolerance
        return "met" if near else "missed"


def list_published_golden() -> dict[str, list[GoldenScore]]:
    """Golden scores of published checkpoints, by id."""
    return {record.id: list(record.golden) for record in PUBLISHED if record.golden}


def read_golden(path: Path) -> dict[str, list[GoldenScore]]:
    """Golden scores of a CSV file, by checkpoint.

    Raises:
        InputError: the file is missing, lacks a column, or a number is none.
    """
    scores: dict[str, list[GoldenScore]] = {}
    for location, line in read_csv_lines(path, GOLDEN_COLUMNS, "golden scores"):
        scores.setdefault(line["checkpoint"], []).append(_parse_golden(line, location))
    return scores


def _parse_golden(line: Mapping[str, str], location: str) -> GoldenScore:
    try:
        return GoldenScore(
            **{name: line[name] for name in ("query", "document", "source")},
            score=parse_decimal(line["score"]),
            tolerance=parse_decimal(line["tolerance"], "tolerance"),
        )
    except ValueError as error:
        raise InputError(f"{location}: {error}") from None


def check_golden(scores: Mapping[str, Sequence[GoldenScore]]) -> list[GoldenVerdict]:
    """Score the pairs of every checkpoint that is at hand, under any spelling of its id.

    Nothing is downloaded: what is neither a folder nor in the hub's cache is skipped.
    """
    return [
        verdict
        for checkpoint, golden in scores.items()
        for verdict in _check_one(checkpoint, golden)
    ]


def _check_one(checkpoint: str, golden: Sequence[GoldenScore]) -> list[GoldenVerdict]:
    published = find_published(checkpoint)
    spellings = reversed(published.ids) if published is not None else [checkpoint]
    at_hand = next((name for name in spellings if is_at_hand(name)), None)
    if at_hand is None:
        return [GoldenVerdict(checkpoint, expected, None) for expected in golden]
    measured = load_reranker(at_hand).predict(
        [(expected.query, expected.document) for expected in golden]
    )
    return [
        GoldenVerdict(checkpoint, expected, float(ours))
        for expected, ours in zip(golden, measured, strict=True)
    ]


def format_golden(verdicts: Sequence[GoldenVerdict]) -> str:
    """Every golden score with ours, as a Markdown table."""
    header = ("checkpoint", "document", "ours", "golden", "tolerance", "verdict", "source")
    lines = [
        (
            verdict.checkpoint,
            shorten(verdict.golden.document),
            MISSING if verdict.measured is None else f"{verdict.measured:.4f}",
            f"{verdict.golden.score:.4f}",
            str(verdict.golden.tolerance),
            f"{verdict.verdict}: not in the hub's cache"
            if verdict.measured is None
            else verdict.verdict,
            verdict.golden.source,
        )
        for verdict in verdicts
    ]
    return "\n".join(align_table(header, lines, words=2)) + "\n"


def shorten(text: str) -> str:
    """A text in one cell of a table."""
    return text if len(text) <= 30 else f"{text[:29]}…"
