"""The candidates that a benchmark itself publishes, such as MS MARCO's top 1000."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from recross.collections.collection import Collection
from recross.collections.ir_datasets import find_asked_queries, read_scored_documents
from recross.parts.bounds import Filled, checked
from recross.retrieval.retriever import Retriever
from recross.runs import Run

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
@checked
class OfficialCandidates(Retriever):
    """Candidates that ids of ir_datasets bring along, one id a split as in the collection.

    Those of MS MARCO and TREC DL are a set and have no order: every score is zero. They are to be
    re-ranked whole (``depth=1000``); a smaller depth keeps those of the largest ids, and says so.
    """

    datasets: Annotated[dict[str, str], Filled("name at least one id of ir_datasets")]

    @property
    def candidates(self) -> str:
        """What a table calls its rankings."""
        return "official"

    @property
    def searches_collection(self) -> bool:
        """False: the rankings are somebody else's."""
        return False

    def retrieve(self, collection: Collection, query_ids: Sequence[str], depth: int) -> Run:
        """Read the candidates of the queries from the datasets that ask them.

        Raises:
            InputError: a dataset has no candidates of its own, or its files cannot be had.
        """
        scores: dict[str, Mapping[str, float]] = {}
        for dataset_id in dict.fromkeys(self.datasets.values()):
            missing = find_asked_queries(dataset_id, set(query_ids) - scores.keys())
            if missing:
                scores |= read_scored_documents(dataset_id, missing)
        cut = [
            q
            for q, documents in scores.items()
            if len(documents) > depth and len(set(documents.values())) == 1
        ]
        if cut:
            logger.warning(
                "official candidates have no order: depth=%d keeps the largest ids of %d queries",
                *(depth, len(cut)),
            )
        return Run.from_scores("official", scores).restrict(query_ids).cut(depth)
