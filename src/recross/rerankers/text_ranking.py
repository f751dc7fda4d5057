"""Texts ranked without a collection: one query's documents, or pairs in batches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from recross.errors import InputError
from recross.rerankers.reading import Reading
from recross.writing.progress import progress

if TYPE_CHECKING:
    from recross.inference.engine import Engine
    from recross.inference.items import Scores

TextPair = tuple[str, str]


@dataclass(frozen=True)
class RankedText:
    """A document of ``rank``: its place in the list that was given, its score, its text."""

    index: int
    score: float
    document: str


class TextRanker(ABC):
    """Whatever scores one query's documents as texts can rank them."""

    @abstractmethod
    def score(self, query: str, documents: Sequence[str]) -> Scores:
        """Score one query's documents, ``(N,)``; higher is more relevant."""

    def rank(
        self, query: str, documents: Sequence[str], top_k: int | None = None
    ) -> list[RankedText]:
        """The best ``top_k`` documents, or all, the best first; equal ones in the order given.

        Raises:
            InputError: ``documents`` is one text, or ``top_k`` less than 1.
        """
        check_documents(documents)
        if top_k is not None and top_k < 1:
            raise InputError(f"top_k must be at least 1, got {top_k}")
        scores = self.score(query, documents).tolist()
        order = sorted(range(len(scores)), key=lambda place: -scores[place])
        return [RankedText(place, scores[place], documents[place]) for place in order[:top_k]]


def check_documents(documents: Sequence[str]) -> None:
    """Refuse one text where a list of them belongs, which is a sequence of characters, too."""
    if isinstance(documents, str):
        raise InputError(f"documents must be a list of texts, got the text {documents[:40]!r}")


def check_pointwise(reading: Reading) -> None:
    """Refuse to score pairs where documents are compared: none has a score of its own."""
    if reading.compares:
        raise InputError(
            "predict needs a pointwise re-ranker, got one that compares documents;"
            " use score(query, documents)"
        )


def score_pairs(
    engine: Engine, pairs: Sequence[TextPair], batch_size: int | None, show_progress: bool
) -> Scores:
    """Score pairs through an engine, ``(B,)``; at most ``batch_size`` in one forward pass.

    Without it as many tokens as the hardware says. Pairs of a batch are alike in length.

    Raises:
        InputError: ``batch_size`` is less than 1, or a text stands where a pair belongs.
    """
    if alone := next((pair for pair in pairs if isinstance(pair, str)), None):
        raise InputError(f"pairs must be a list of (query, document), got the text {alone[:40]!r}")
    if batch_size is None:
        return engine.score(pairs, "pairs", show_progress)[0]
    if batch_size < 1:
        raise InputError(f"batch_size must be at least 1, got {batch_size}")
    order = sorted(range(len(pairs)), key=lambda place: -sum(map(len, pairs[place])))
    scores = np.empty(len(pairs), dtype=np.float32)
    with progress(len(pairs), "pairs", "pair", shown=show_progress) as bar:
        for start in range(0, len(order), batch_size):
            places = order[start : start + batch_size]
            scores[places] = engine.score([pairs[place] for place in places])[0]
            bar.update(len(places))
    return scores
