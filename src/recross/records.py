"""The small values that flow through an experiment."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from operator import add, sub
from typing import Any, NamedTuple, TypeAlias, overload

import numpy as np
import numpy.typing as npt

from recross.errors import InputError

Json: TypeAlias = Any
"""A value that JSON can hold: nothing, a truth value, a number, a text, a list or an object."""

JsonObject: TypeAlias = Mapping[str, Json]
"""An object of JSON: what records, manifests and requests are made of."""

DocumentRelevance = Mapping[str, int]
"""One query's judgments: doc_id -> relevance."""

Qrels = Mapping[str, DocumentRelevance]
"""Judgments of a split: query_id -> doc_id -> relevance."""


Excluded = Mapping[str, frozenset[str]]
"""Documents that no ranking of a query may hold: query_id -> doc_ids."""


class ScoredDoc(NamedTuple):
    """One document of a ranking, with the score that placed it there."""

    doc_id: str
    score: float


class Ranking(Sequence[ScoredDoc]):
    """One query's documents, best first, in twelve bytes each: there may be millions of queries.

    Scores stand together, in single precision, and an id that many rankings hold is there once.
    Equal to any sequence of the same documents.
    """

    __slots__ = ("_doc_ids", "_scores")

    def __init__(self, doc_ids: Sequence[str], scores: npt.NDArray[np.float32]) -> None:
        self._doc_ids = tuple(map(sys.intern, map(str, doc_ids)))
        self._scores = scores

    @classmethod
    def of(cls, documents: Iterable[ScoredDoc]) -> Ranking:
        """The same documents in the same order."""
        listed = list(documents)
        return cls([d for d, _ in listed], np.array([s for _, s in listed], dtype=np.float32))

    @classmethod
    def of_scores(cls, query_id: str, scores: Mapping[str, float]) -> Ranking:
        """Order documents by descending score; ties fall to the larger ``doc_id``.

        Raises:
            InputError: a score is not a finite number.
        """
        with np.errstate(over="ignore"):  # it is refused
            single = np.fromiter(scores.values(), dtype=np.float32, count=len(scores))
        for row in np.flatnonzero(~np.isfinite(single)).tolist():
            doc_id, score = [*scores][row], float(single[row])
            raise InputError(f"score must be finite, got {score} for {query_id!r}, {doc_id!r}")
        order = sorted(zip(single.tolist(), scores, range(len(scores)), strict=True), reverse=True)
        rows = np.fromiter((row for _, _, row in order), dtype=np.intp, count=len(order))
        return cls([doc_id for _, doc_id, _ in order], single[rows])

    @overload
    def __getitem__(self, at: int) -> ScoredDoc: ...

    @overload
    def __getitem__(self, at: slice) -> Ranking: ...

    def __getitem__(self, at: int | slice) -> ScoredDoc | Ranking:
        if isinstance(at, slice):
            return Ranking(self._doc_ids[at], self._scores[at].copy())
        return ScoredDoc(self._doc_ids[at], float(self._scores[at]))

    def __iter__(self) -> Iterator[ScoredDoc]:
        return map(ScoredDoc, self._doc_ids, self._scores.tolist())

    def __len__(self) -> int:
        return len(self._doc_ids)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return f"Ranking({list(self)})"


@dataclass(frozen=True)
class TrainingGroup:
    """One query's documents to learn from; ``labels`` follow ``doc_ids``, higher is more relevant.

    ``first_stage_scores`` are what the candidates' own ranking said of the documents, for losses
    that let a network learn only what the first stage misses.
    """

    query_id: str
    doc_ids: tuple[str, ...]
    labels: tuple[float, ...]
    teacher_scores: tuple[float, ...] | None = None
    first_stage_scores: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        for name, values in (
            ("labels", self.labels),
            ("teacher_scores", self.teacher_scores),
            ("first_stage_scores", self.first_stage_scores),
        ):
            if values is not None and len(values) != len(self.doc_ids):
                raise InputError(
                    f"{name} must hold one value per document ({len(self.doc_ids)}),"
                    f" got {len(values)} for query {self.query_id!r}"
                )


@dataclass(frozen=True)
class Cost:
    """What it took to score a run; costs of stages add up.

    ``pairs`` were asked for (triples, where two documents are compared), ``forward_passes``
    sequences of ``tokens`` went through the network in ``batches``, and ``kept_tokens`` are those
    of sequences whose scores were kept; what was cut is counted of both. ``cache_damaged`` of
    ``cache_misses`` were asked since a page of the score cache is damaged. ``requests``,
    ``generated_tokens``, ``malformed`` answers and ``retries`` are those of generating models.
    """

    pairs: int = 0
    tokens: int = 0
    kept_tokens: int = 0
    padding_tokens: int = 0
    forward_passes: int = 0
    batches: int = 0
    tokenize_seconds: float = 0.0
    forward_seconds: float = 0.0
    total_seconds: float = 0.0
    cut_queries: int = 0
    cut_documents: int = 0
    cut_tokens: int = 0
    cache_hits: int = 0
    cache_misses: int = 0
    cache_damaged: int = 0
    requests: int = 0
    generated_tokens: int = 0
    malformed: int = 0
    retries: int = 0

    def __add__(self, other: Cost) -> Cost:
        return self._combine(other, add)

    def __sub__(self, other: Cost) -> Cost:
        return self._combine(other, sub)

    def _combine(self, other: Cost, combine: Callable[[float, float], float]) -> Cost:
        names = [field.name for field in fields(self)]
        values: JsonObject = {
            name: combine(getattr(self, name), getattr(other, name)) for name in names
        }
        return Cost(**values)


def relevant_documents(judgments: DocumentRelevance, relevant_from: int) -> frozenset[str]:
    """Documents judged at least ``relevant_from``."""
    return frozenset(doc_id for doc_id, grade in judgments.items() if grade >= relevant_from)
