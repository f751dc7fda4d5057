"""How a network reads a query's documents: each alone, unless a re-ranker says otherwise."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Protocol

from recross.collections.collection import Collection
from recross.runs import Run

if TYPE_CHECKING:
    from recross.inference.engine import Engine
    from recross.inference.items import Scores


class Reading(Protocol):
    """Decides which items of a query a network reads, and how their scores order its documents."""

    compares: ClassVar[bool]
    """Whether an item holds two documents."""

    def score(self, engine: Engine, query: str, documents: Sequence[str]) -> Scores:
        """Score one query's documents through an engine, ``(N,)``; higher is more relevant."""

    def rerank(self, engine: Engine, candidates: Run, collection: Collection, name: str) -> Run:
        """Order every query's candidates through an engine; the run is called ``name``."""


class EachAlone:
    """Every document is read without the others: its score is the network's."""

    compares: ClassVar[bool] = False

    def score(self, engine: Engine, query: str, documents: Sequence[str]) -> Scores:
        """Score one query's documents, ``(N,)``, each by what the network says of it."""
        return engine.score([(query, document) for document in documents])[0]

    def rerank(self, engine: Engine, candidates: Run, collection: Collection, name: str) -> Run:
        """Order every query's candidates by the network's score of each."""
        start = time.perf_counter()
        items = engine.texts_of(collection).pair(candidates)
        scores, cost = engine.score_items(items, name, show_progress=len(candidates) > 1)
        values = iter(scores.tolist())
        ranked = {
            query_id: {doc.doc_id: next(values) for doc in ranking}
            for query_id, ranking in candidates.rankings.items()
        }
        seconds = time.perf_counter() - start
        return Run.from_scores(name, ranked, replace(cost, total_seconds=seconds))
