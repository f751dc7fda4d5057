"""What is trained, and the candidates on which a checkpoint is chosen."""

from __future__ import annotations

from dataclasses import dataclass, replace

from recross.collections.collection import Collection
from recross.evaluation.measures import evaluate
from recross.records import Qrels
from recross.runs import Run


@dataclass(frozen=True)
class Validation:
    """A real candidate list of development queries, and the measure that picks the checkpoint."""

    candidates: Run
    collection: Collection
    qrels: Qrels
    measure: str
    relevant_from: int = 1

    def share(self, rank: int, ranks: int) -> Validation:
        """Every ``ranks``-th query, from the ``rank``-th on."""
        query_ids = list(self.qrels)[rank::ranks]
        return replace(
            self,
            candidates=self.candidates.restrict(query_ids),
            qrels={query_id: self.qrels[query_id] for query_id in query_ids},
        )

    def sum_of(self, reranked: Run) -> float:
        """Sum of the measure over the queries."""
        if not self.qrels:
            return 0.0
        evaluation = evaluate(reranked, self.qrels, [self.measure], self.relevant_from)
        return evaluation.mean[self.measure] * len(self.qrels)
