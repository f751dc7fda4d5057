"""Re-rankers that need no training: floor, ceiling, and the one to beat."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from recross.collection import Collection
from recross.records import Cost
from recross.retrieval.biencoder import BiEncoder, cosines
from recross.runs import Run


@dataclass(frozen=True)
class FirstStage:
    """Leaves the candidates as they are: what the first stage alone is worth."""

    def rerank(self, candidates: Run, collection: Collection) -> Run:
        """Return the candidates."""
        return candidates


@dataclass(frozen=True)
class Oracle:
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
class BiEncoderScore:
    """The bi-encoder's cosine as a re-ranker: the baseline every cross-encoder must beat."""

    encoder: BiEncoder

    def rerank(self, candidates: Run, collection: Collection) -> Run:
        """Score with the collection's stored document vectors."""
        start = time.perf_counter()
        documents = self.encoder.document_vectors(collection)
        query_ids = list(candidates.rankings)
        queries = self.encoder.encode([collection.queries[query_id] for query_id in query_ids])
        scores = {}
        for query_id, query in zip(query_ids, queries, strict=True):
            own = candidates.doc_ids(query_id)
            (found,) = cosines(query[None], documents.of(own))  # (N,)
            scores[query_id] = dict(zip(own, found.tolist(), strict=True))
        pairs = sum(map(len, candidates.rankings.values()))
        run = Run.from_scores("biencoder", scores)
        return replace(run, cost=Cost(pairs=pairs, total_seconds=time.perf_counter() - start))
