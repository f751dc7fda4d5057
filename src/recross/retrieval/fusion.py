"""Several first stages as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from recross.collections.collection import Collection
from recross.errors import InputError
from recross.parts.bounds import Ge, checked
from recross.records import Cost
from recross.retrieval.retriever import Retriever, retrieve_allowed
from recross.runs import Run
from recross.sharing.work import SharedWork


@dataclass(frozen=True)
@checked
class ReciprocalRankFusion(Retriever):
    """Sum of ``1 / (k + rank)`` over retrievers by name (Cormack et al. 2009)."""

    retrievers: Mapping[str, Retriever]
    k: Annotated[int, Ge(0)] = 60

    def __post_init__(self) -> None:
        if len(self.retrievers) < 2:
            raise InputError(f"retrievers must hold at least two, got {len(self.retrievers)}")
        for name, retriever in self.retrievers.items():
            if retriever.searcher is not retriever:  # what it adds would take ranks from others
                raise InputError(
                    "retrievers must rank what they find themselves: plant around their fusion,"
                    f" got {type(retriever).__name__} for {name!r}"
                )

    def check(self) -> None:
        """Check every member."""
        for retriever in self.retrievers.values():
            retriever.check()

    def document_parts(self, collection: Collection) -> Sequence[SharedWork]:
        """What each member makes of all documents."""
        works = [member.document_parts(collection) for member in self.retrievers.values()]
        return [work for of_member in works for work in of_member]

    def document_cost(self, collection: Collection) -> Cost:
        """What was cut for each member."""
        costs = [member.document_cost(collection) for member in self.retrievers.values()]
        return sum(costs, Cost())

    @property
    def candidates(self) -> str:
        """What a table calls its rankings."""
        names = [retriever.candidates for retriever in self.retrievers.values()]
        return f"fusion of {' and '.join(names)}"

    @property
    def searches_collection(self) -> bool:
        """Whether all of its retrievers do."""
        return all(retriever.searches_collection for retriever in self.retrievers.values())

    @property
    def parameters(self) -> int | None:
        """How many parameters the networks of its retrievers have together."""
        sizes = [retriever.parameters for retriever in self.retrievers.values()]
        known = [size for size in sizes if size is not None]
        return sum(known) if known else None

    def retrieve(self, collection: Collection, query_ids: Sequence[str], depth: int) -> Run:
        """Fuse the retrievers' best ``depth`` documents and keep the best ``depth``.

        Excluded documents take no rank from others: they are left out before.
        """
        runs = [
            retrieve_allowed(retriever, collection, query_ids, depth)
            for retriever in self.retrievers.values()
        ]
        return fuse(runs, self.k).cut(depth)


def fuse(runs: Sequence[Run], k: int = 60) -> Run:
    """Fuse runs by reciprocal rank; a document that a run lacks gets nothing from it."""
    scores: dict[str, dict[str, float]] = {}
    for run in runs:
        for query_id, ranking in run.rankings.items():
            fused = scores.setdefault(query_id, {})
            for rank, doc in enumerate(ranking, start=1):
                fused[doc.doc_id] = fused.get(doc.doc_id, 0.0) + 1 / (k + rank)
    cost = sum((run.cost for run in runs), Cost())
    return Run.from_scores("+".join(run.name for run in runs), scores, cost)
