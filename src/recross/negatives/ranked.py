"""Negatives by rank."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from numpy.random import Generator

from recross.errors import InputError
from recross.records import ScoredDoc
from recross.retrieval.retriever import Retriever


@dataclass(frozen=True)
class RankWindow:
    """Negatives drawn uniformly from ranks ``skip + 1 … depth`` of ``source``'s candidates.

    With BM25 as source these are the field's classic hard negatives, with the bi-encoder the
    errors of the first stage itself (localized contrastive estimation, Gao et al. 2021). Skipping
    the first few ranks avoids most unjudged relevant documents.
    """

    source: Retriever
    depth: int = 100
    skip: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.skip < self.depth:
            raise InputError(f"skip must lie in [0, depth={self.depth}), got {self.skip}")

    def sample(
        self,
        candidates: Sequence[ScoredDoc],
        relevant: frozenset[str],
        size: int,
        rng: Generator,
    ) -> list[str]:
        """Draw ``size`` distinct non-relevant documents, fewer if the window holds fewer."""
        window = [doc.doc_id for doc in candidates[self.skip : self.depth]]
        pool = [doc_id for doc_id in window if doc_id not in relevant]
        return [pool[index] for index in rng.permutation(len(pool))[:size]]
