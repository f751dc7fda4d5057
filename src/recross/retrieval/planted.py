"""Relevant documents added to what a first stage found, as NanoBEIR re-ranking is evaluated."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from recross.collections.collection import Collection
from recross.records import ScoredDoc
from recross.retrieval.retriever import Retriever, retrieve_allowed
from recross.runs import Run

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PlantedPositives(Retriever):
    """Another retriever's candidates, and below them each relevant document that it missed.

    This is ``always_rerank_positives`` of sentence-transformers. The judgments of every split of
    the collection are known to it, so what is re-ranked is nothing that a user could have: a
    re-ranker is measured as if the first stage missed nothing. The first stage's own measures are
    those without what was planted wherever it fills the ranks that a measure looks at.
    """

    retriever: Retriever

    @property
    def candidates(self) -> str:
        """What a table calls its rankings."""
        return _say_planted(self.retriever.candidates)

    @property
    def searches_collection(self) -> bool:
        """Whether the retriever does."""
        return self.retriever.searches_collection

    def name_candidates(self, depth: int, reranked: bool) -> str:
        """The retriever's own name for them, with what was planted."""
        return _say_planted(self.retriever.name_candidates(depth, reranked))

    @property
    def parameters(self) -> int | None:
        """How many parameters the retriever's network has."""
        return self.retriever.parameters

    @property
    def searcher(self) -> Retriever:
        """The retriever, whose rankings know nothing of the judgments."""
        return self.retriever.searcher

    def complete(self, run: Run, collection: Collection) -> Run:
        """Plant the relevant documents that each ranking lacks; the run counts them.

        None is planted that is excluded for its query, or that the collection lacks.
        """
        return plant(self.retriever.complete(run, collection), collection)

    def retrieve(self, collection: Collection, query_ids: Sequence[str], depth: int) -> Run:
        """The retriever's best ``depth`` documents of each query, and the planted ones below."""
        return retrieve_allowed(self, collection, query_ids, depth)


def plant(run: Run, collection: Collection) -> Run:
    """Add below each ranking the relevant documents that it lacks, the largest id first."""
    missed = {
        query_id: sorted(
            _find_relevant(collection, query_id) - {doc.doc_id for doc in ranking}, reverse=True
        )
        for query_id, ranking in run.rankings.items()
    }
    known = _keep_known(missed, collection)
    below = {
        query_id: [*ranking, *(ScoredDoc(d, float(-n)) for n, d in enumerate(known[query_id]))]
        for query_id, ranking in run.rankings.items()
    }
    completed = run.with_tail(replace(run, rankings=below))
    planted = run.planted + sum(map(len, known.values()))
    return replace(completed, name=f"{run.name}+planted", planted=planted)


def _find_relevant(collection: Collection, query_id: str) -> frozenset[str]:
    """What any split judges relevant to a query, without what is excluded for it."""
    judged = (collection.relevant(split, query_id) for split in collection.split_qrels)
    return frozenset().union(*judged) - collection.excluded.get(query_id, frozenset())


def _keep_known(missed: dict[str, list[str]], collection: Collection) -> dict[str, list[str]]:
    """Without documents that are judged relevant and have no text; there may be such."""
    known = {q: [d for d in doc_ids if d in collection.documents] for q, doc_ids in missed.items()}
    unknown = sum(map(len, missed.values())) - sum(map(len, known.values()))
    if unknown:
        logger.warning(
            "%d relevant documents cannot be planted: %s lacks them", unknown, collection.name
        )
    return known


def _say_planted(candidates: str) -> str:
    return f"{candidates} with planted positives"
