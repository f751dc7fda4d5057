"""Re-rankers that need no training: floor, ceiling, and the one to beat."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TYPE_CHECKING, ClassVar

from recross.collections.collection import Collection
from recross.parts.bounds import checked
from recross.records import Cost
from recross.rerankers.reranker import Reranker
from recross.retrieval.biencoder import BiEncoder
from recross.runs import Run
from recross.sharing.work import SharedWork

if TYPE_CHECKING:
    from recross.inference.encoders.pooled import Vectors


@dataclass(frozen=True)
class FirstStage(Reranker):
    """Leaves the candidates as they are: what the first stage alone is worth."""

    reranks: ClassVar[bool] = False

    def rerank(self, candidates: Run, collection: Collection) -> Run:
        """Return the candidates in the order they came in."""
        return candidates


@dataclass(frozen=True)
class Oracle(Reranker):
    """Orders by the judgments themselves: the ceiling of any re-ranker of these candidates."""

    def rerank(self, candidates: Run, collection: Collection) -> Run:
        """Best grade first; within a grade the first stage's order stays."""
        judged: dict[str, dict[str, int]] = {}
        for qrels in collection.split_qrels.values():
            for query_id, judgments in qrels.items():
                judged.setdefault(query_id, {}).update(judgments)
        scores = {}
        for query_id, ranking in candidates.rankings.items():
            grades = judged.get(query_id, {})
            scores[query_id] = {
                doc.doc_id: grades.get(doc.doc_id, 0) + 1 - rank / len(ranking)
                for rank, doc in enumerate(ranking)
            }
        return Run.from_scores("oracle", scores)


@dataclass(frozen=True)
@checked
class BiEncoderScore(Reranker):
    """The bi-encoder's similarity as a re-ranker: the baseline every cross-encoder must beat.

    It reads the collection's ``stored`` vectors, made first if there are none, as the first stage
    does; or encodes the candidates' documents anew at every call, which for one run over a large
    collection is far less to do.
    """

    encoder: BiEncoder
    stored: bool = field(default=True, compare=False)

    @property
    def parameters(self) -> int | None:
        """How many parameters the encoder has."""
        return self.encoder.parameters

    @property
    def base_checkpoint(self) -> str:
        """The checkpoint of the encoder whose vectors are compared."""
        return self.encoder.checkpoint

    def document_parts(self, collection: Collection) -> Sequence[SharedWork]:
        """The vectors of all documents, where they are stored."""
        return self.encoder.document_parts(collection) if self.stored else ()

    def rerank(self, candidates: Run, collection: Collection) -> Run:
        """Compare each query with its documents."""
        from recross.retrieval.vector_index import compute_products

        start = time.perf_counter()
        vectors_of = self._vectors(candidates, collection)
        query_ids = list(candidates.rankings)
        queries = self.encoder.encode(
            [collection.queries[query_id] for query_id in query_ids], "query"
        )
        scores = {}
        for query_id, query in zip(query_ids, queries, strict=True):
            doc_ids = candidates.doc_ids(query_id)
            (products,) = compute_products(query[None], vectors_of(doc_ids))  # (N,)
            scores[query_id] = dict(zip(doc_ids, products.tolist(), strict=True))
        pairs = sum(map(len, candidates.rankings.values()))
        run = Run.from_scores("biencoder", scores)
        return replace(run, cost=Cost(pairs=pairs, total_seconds=time.perf_counter() - start))

    def _vectors(
        self, candidates: Run, collection: Collection
    ) -> Callable[[Sequence[str]], Vectors]:
        """Gives vectors of documents, ``(N, D)``."""
        if self.stored:
            return self.encoder.document_vectors(collection).of
        every = [candidates.doc_ids(query_id) for query_id in candidates.rankings]
        rows = {doc_id: row for row, doc_id in enumerate(dict.fromkeys(chain(*every)))}
        vectors = self.encoder.encode([collection.documents[doc_id] for doc_id in rows], "document")
        return lambda doc_ids: vectors[[rows[doc_id] for doc_id in doc_ids]]
