"""What re-rankers share whose model orders documents and gives them no scores."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace

from recross.collections.collection import Collection
from recross.records import Cost
from recross.rerankers.generative.prompted import PromptedReranker
from recross.runs import Run

QueryTexts = tuple[str, Sequence[str]]
"""A query and its documents."""


class OrderingReranker(PromptedReranker):
    """Orders each query's documents; scores are ordinal, the number of documents ranked below."""

    @abstractmethod
    def order(self, texts: Mapping[str, QueryTexts]) -> tuple[dict[str, list[int]], Cost]:
        """Places of each query's documents, best first; those left out keep their order below.

        Raises:
            InputError: the model has no room for passages of one word each.
        """

    def rerank(self, candidates: Run, collection: Collection) -> Run:
        """Reorder the candidates of every query.

        Raises:
            InputError: the model has no room for passages of one word each.
        """
        start = time.perf_counter()
        texts = {
            query_id: (
                collection.queries[query_id],
                [collection.documents[doc.doc_id] for doc in ranking],
            )
            for query_id, ranking in candidates.rankings.items()
        }
        orders, cost = self.order(texts)
        scores = {}
        for query_id, places in orders.items():
            doc_ids = candidates.doc_ids(query_id)
            order = list(dict.fromkeys([*places, *range(len(doc_ids))]))
            scores[query_id] = {
                doc_ids[place]: float(len(order) - rank) for rank, place in enumerate(order, 1)
            }
        cost = replace(cost, total_seconds=time.perf_counter() - start)
        return Run.from_scores(self.name, scores, cost)
