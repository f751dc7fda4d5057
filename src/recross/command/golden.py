"""Golden scores: what published checkpoints are known to answer, checked where they are at hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from recross.checkpoints.location import is_at_hand
from recross.command.loading import load_reranker
from recross.errors import InputError
from recross.report.references import csv_lines
from recross.report.tables.alignment import aligned_table

GOLDEN = Path(__file__).parents[1] / "checkpoints" / "golden_scores.csv"
COLUMNS = ("checkpoint", "query", "document", "score", "tolerance", "source")
MISSING = "–"


@dataclass(frozen=True)
class GoldenScore:
    """The score that a checkpoint's authors print for a pair, and how near ours must come."""

    checkpoint: str
    query: str
    document: str
    score: float
    tolerance: float
    source: str


@dataclass(frozen=True)
class GoldenVerdict:
    """A golden score beside ours; ``None``: the checkpoint is not at hand."""

    golden: GoldenScore
    measured: float | None

    @property
    def verdict(self) -> Literal["met", "missed", "skipped"]:
        """Whether ours is near enough."""
        if self.measured is None:
            return "skipped"
        near = abs(self.measured - self.golden.score) <= self.golden.tolerance
        return "met" if near else "missed"


def read_golden(path: Path = GOLDEN) -> list[GoldenScore]:
    """Golden scores of a CSV file.

    Raises:
        InputError: the file is missing, lacks a column, or a number is none.
    """
    return [_golden(line, place) for place, line in csv_lines(path, COLUMNS, "golden scores")]


def _golden(line: Mapping[str, str], place: str) -> GoldenScore:
    try:
        return GoldenScore(
            **{name: line[name] for name in ("checkpoint", "query", "document", "source")},
            score=float(line["score"]),
            tolerance=float(line["tolerance"]),
        )
    except ValueError as error:
        raise InputError(f"{place}: {error}") from None


def check_golden(scores: Sequence[GoldenScore]) -> list[GoldenVerdict]:
    """Score the pairs of every checkpoint that is at hand, under its id of today or of before.

    Nothing is downloaded: what is neither a folder nor in the hub's cache is skipped.
    """
    verdicts = []
    for checkpoint in dict.fromkeys(one.checkpoint for one in scores):
        own = [one for one in scores if one.checkpoint == checkpoint]
        found = next((name for name in _spellings(checkpoint) if is_at_hand(name)), None)
        if found is None:
            verdicts += [GoldenVerdict(one, None) for one in own]
            continue
        measured = load_reranker(found).predict([(one.query, one.document) for one in own])
        verdicts += [
            GoldenVerdict(one, float(ours)) for one, ours in zip(own, measured, strict=True)
        ]
    return verdicts


def golden_table(verdicts: Sequence[GoldenVerdict]) -> str:
    """Every golden score with ours, as a Markdown table."""
    header = ("checkpoint", "document", "ours", "golden", "tolerance", "verdict", "source")
    lines = [
        (
            one.golden.checkpoint,
            _short(one.golden.document),
            MISSING if one.measured is None else f"{one.measured:.4f}",
            f"{one.golden.score:.4f}",
            str(one.golden.tolerance),
            f"{one.verdict}: not in the hub's cache" if one.measured is None else one.verdict,
            one.golden.source,
        )
        for one in verdicts
    ]
    return "\n".join(aligned_table(header, lines, words=2)) + "\n"


def _spellings(checkpoint: str) -> tuple[str, ...]:
    """The id, and its spelling of before (``ms-marco-MiniLM-L6-v2`` was ``...-L-6-v2``)."""
    return checkpoint, checkpoint.replace("MiniLM-L", "MiniLM-L-").replace("BERT-L", "BERT-L-")


def _short(text: str) -> str:
    return text if len(text) <= 30 else f"{text[:29]}…"
