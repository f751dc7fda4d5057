"""Networks that read a query with two documents and say which is the better."""

from __future__ import annotations

import time
from abc import ABC
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import Annotated, ClassVar

import numpy as np

from recross.checkpoints.contracts import ClassifierContract
from recross.collections.collection import Collection
from recross.errors import InputError
from recross.inference.engine import Engine
from recross.inference.items import Scores
from recross.parts.bounds import Ge, checked
from recross.records import Cost
from recross.rerankers.comparing.pairwise import (
    AllPairs,
    PairwiseStrategy,
    Question,
    rank_in_lockstep,
)
from recross.rerankers.cross_encoder import CrossEncoder
from recross.rerankers.reranker import NetworkReranker
from recross.rerankers.t5 import T5Reranker
from recross.runs import Run
from recross.seeding import make_generator

_QUERIES_AT_ONCE = 100
"""Queries whose comparisons are asked together: enough for full batches, bounded in memory."""


@dataclass(frozen=True)
@checked
class Comparing(NetworkReranker, ABC):
    """Compares the best ``depth`` documents of each query; the others stay below, in their order.

    ``strategy`` says which ordered pairs are asked and how their answers become scores. The cost in
    the result counts every pair as one forward pass. ``sampling_seed`` is for strategies that
    draw.
    """

    compares: ClassVar[bool] = True

    depth: Annotated[int, Ge(2)] = 50
    strategy: PairwiseStrategy = field(default=AllPairs())
    sampling_seed: int = 0
    _: KW_ONLY

    def score(self, query: str, documents: Sequence[str]) -> Scores:
        """Score one query's documents against each other, ``(N,)``, whatever their number."""
        texts = {"": (query, list(documents))}
        scores, _ = self._compare(self.engine, texts)
        return np.array(scores[""], dtype=np.float32)

    def predict(self, pairs: Sequence[tuple[str, str]]) -> Scores:
        """Refuse: a document has no score of its own."""
        raise InputError(
            "predict needs a pointwise re-ranker, got one that compares documents;"
            " use score(query, documents)"
        )

    def rerank_with(self, engine: Engine, candidates: Run, collection: Collection) -> Run:
        """Compare the head of every ranking through an engine of this network."""
        start = time.perf_counter()
        head = candidates.cut(self.depth)
        query_ids = list(head.rankings)
        found: dict[str, dict[str, float]] = {}
        cost = Cost()
        for first in range(0, len(query_ids), _QUERIES_AT_ONCE):
            texts = {
                query_id: (
                    collection.queries[query_id],
                    [collection.documents[doc_id] for doc_id in head.doc_ids(query_id)],
                )
                for query_id in query_ids[first : first + _QUERIES_AT_ONCE]
            }
            scores, spent = self._compare(engine, texts)
            cost += spent
            for query_id, own in scores.items():
                found[query_id] = dict(zip(head.doc_ids(query_id), own, strict=True))
        cost = replace(cost, total_seconds=time.perf_counter() - start)
        return Run.from_scores(self.name, found, cost).with_tail(candidates)

    def _compare(
        self, engine: Engine, texts: Mapping[str, tuple[str, list[str]]]
    ) -> tuple[Mapping[str, list[float]], Cost]:
        spent: list[Cost] = []

        def ask(questions: list[Question]) -> Scores:
            items = [
                (texts[query_id][0], texts[query_id][1][one], texts[query_id][1][other])
                for query_id, one, other in questions
            ]
            margins, cost = engine.score(items, self.name, show_progress=len(texts) > 1)
            spent.append(cost)
            return margins

        counts = {query_id: len(documents) for query_id, (_, documents) in texts.items()}
        scores = rank_in_lockstep(
            self.strategy,
            counts,
            ask,
            lambda query_id: make_generator(self.sampling_seed, "comparisons", query_id),
        )
        return scores, sum(spent, Cost())


@dataclass(frozen=True)
class DuoT5(Comparing, T5Reranker):
    """duoT5 (Pradeep et al. 2021), or any other prompt of two documents."""

    def __post_init__(self) -> None:
        T5Reranker.__post_init__(self)


@dataclass(frozen=True)
class DuoBERT(Comparing, CrossEncoder):
    """duoBERT (Nogueira et al. 2019): ``[CLS] query [SEP] document [SEP] document [SEP]``.

    A fresh head has one logit, the log-odds that the first document is the more relevant.
    """

    @property
    def fresh_contract(self) -> ClassifierContract:
        """That of a head yet to be trained."""
        source = "Nogueira et al. 2019, section 3.2"
        return ClassifierContract("duobert", source=source, documents=2)
