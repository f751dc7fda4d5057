"""Documents at random: the weakest first stage, and the source of random negatives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from recross.collections.collection import Collection
from recross.parts.bounds import Seed, checked
from recross.retrieval.retriever import Retriever
from recross.runs import Run
from recross.seeding import make_generator


@dataclass(frozen=True)
@checked
class RandomOrder(Retriever):
    """``depth`` documents drawn uniformly from the collection for each query, from its own seed."""

    seed: Seed = 0

    @property
    def candidates(self) -> str:
        """What a table calls its rankings."""
        return "random order"

    def retrieve(self, collection: Collection, query_ids: Sequence[str], depth: int) -> Run:
        """Draw documents; their scores say only the order in which they were drawn."""
        doc_ids = list(collection.documents)
        scores = {}
        for query_id in query_ids:
            rng = make_generator(self.seed, "random order", query_id)
            drawn = rng.choice(len(doc_ids), min(depth, len(doc_ids)), replace=False)
            scores[query_id] = {doc_ids[n]: -float(rank) for rank, n in enumerate(drawn)}
        return Run.from_scores("random", scores)
