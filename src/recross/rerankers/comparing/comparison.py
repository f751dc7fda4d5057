"""A query's documents read two at a time, and ordered by which of two is the better."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from recross.collections.collection import Collection
from recross.inference.spans import Ints
from recross.records import Cost
from recross.rerankers.comparing.pairwise import PairwiseStrategy, Question, rank_in_lockstep
from recross.runs import Run
from recross.seeding import make_generator

if TYPE_CHECKING:
    from recross.inference.engine import Engine
    from recross.inference.items import Items, Scores

_QUERIES_AT_ONCE = 100
"""Queries whose comparisons are asked together: enough for full batches, bounded in memory."""


@dataclass(frozen=True)
class PairComparison:
    """Compares the best ``depth`` documents of each query; the others stay below, in their order.

    ``strategy`` says which ordered pairs are asked and how their answers become scores. The cost in
    the result counts every pair as one forward pass. ``sampling_seed`` is for strategies that
    draw.
    """

    compares: ClassVar[bool] = True

    depth: int
    strategy: PairwiseStrategy
    sampling_seed: int

    def score(self, engine: Engine, query: str, documents: Sequence[str]) -> Scores:
        """Score one query's documents against each other, ``(N,)``, whatever their number."""
        from recross.inference.items import Items

        asked = Items.of([(query, document) for document in documents])
        scores, _ = self._compare(engine, asked, {"": asked.numbers})
        return np.array(scores[""], dtype=np.float32)

    def rerank(self, engine: Engine, candidates: Run, collection: Collection, name: str) -> Run:
        """Compare the head of every ranking through an engine of the network."""
        start = time.perf_counter()
        head = candidates.cut(self.depth)
        query_ids = list(head.rankings)
        scores: dict[str, dict[str, float]] = {}
        cost = Cost()
        texts = engine.texts_of(collection)
        for first in range(0, len(query_ids), _QUERIES_AT_ONCE):
            some = head.restrict(query_ids[first : first + _QUERIES_AT_ONCE])
            asked, ends = texts.pair(some), np.cumsum([len(r) for r in some.rankings.values()])
            of_queries = dict(zip(some.rankings, np.split(asked.numbers, ends[:-1]), strict=True))
            compared, spent = self._compare(engine, asked, of_queries, name)
            cost += spent
            for query_id, document_scores in compared.items():
                scores[query_id] = dict(zip(head.doc_ids(query_id), document_scores, strict=True))
        cost = replace(cost, total_seconds=time.perf_counter() - start)
        return Run.from_scores(name, scores, cost).with_tail(candidates)

    def _compare(
        self, engine: Engine, texts: Items, asked: Mapping[str, Ints], name: str = ""
    ) -> tuple[Mapping[str, list[float]], Cost]:
        """Compare the documents of each query, which are ``asked`` of ``texts``, ``(N, 2)``."""
        spent: list[Cost] = []

        def ask(questions: list[Question]) -> Scores:
            numbers = [
                (*asked[query_id][left], asked[query_id][right, 1])
                for query_id, left, right in questions
            ]
            items = replace(texts, numbers=np.array(numbers, dtype=np.int64).reshape(-1, 3))
            margins, cost = engine.score_items(items, name, show_progress=len(asked) > 1)
            spent.append(cost)
            return margins

        counts = {query_id: len(numbers) for query_id, numbers in asked.items()}
        scores = rank_in_lockstep(
            self.strategy,
            counts,
            ask,
            lambda query_id: make_generator(self.sampling_seed, "comparisons", query_id),
        )
        return scores, sum(spent, Cost())
