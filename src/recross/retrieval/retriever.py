"""What a first stage is, and the runs it has already made."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from recross.collections.collection import Collection
from recross.records import Cost, JsonObject
from recross.retrieval.cuts import describe_cuts, read_cuts, say_cuts
from recross.runs import Run
from recross.sharing.work import SharedWork
from recross.store import Store, read_manifest

logger = logging.getLogger(__name__)


class Retriever(ABC):
    """A first stage. What it says of itself is what tables call its candidates."""

    @abstractmethod
    def retrieve(self, collection: Collection, query_ids: Sequence[str], depth: int) -> Run:
        """Return the best ``depth`` documents of each query, in the order of ``query_ids``."""

    def document_parts(self, collection: Collection) -> Sequence[SharedWork]:
        """What it makes of all documents before it searches, in parts that any process can make."""
        return ()

    def document_cost(self, collection: Collection) -> Cost:
        """What was read and cut of the documents, which the cost of every run holds."""
        return Cost()

    def check(self) -> None:
        """Look for all that it needs, such as its network, before any work.

        Raises:
            InputError: something is missing, or cannot be read.
        """
        return

    @property
    @abstractmethod
    def candidates(self) -> str:
        """What a table calls its rankings, such as ``BM25 k1=0.9 b=0.4``."""

    @property
    def searches_collection(self) -> bool:
        """Whether it ranks the full collection itself; somebody else's rankings do not say."""
        return True

    def name_candidates(self, depth: int, reranked: bool) -> str:
        """What a table calls the documents that were ranked: the same name for the same set.

        That of a first stage alone, which is not ``reranked``, is the collection that it searched.
        """
        is_whole = self.searches_collection and not reranked
        return "full collection" if is_whole else f"{self.candidates} top {depth}"

    @property
    def parameters(self) -> int | None:
        """How many parameters its network has; ``None`` where it has none."""
        return None

    @property
    def searcher(self) -> Retriever:
        """Whose rankings are kept and cut: its own, unless it only adds to another's."""
        return self

    def complete(self, run: Run, collection: Collection) -> Run:
        """What it adds to the allowed best documents of its ``searcher``: nothing."""
        return run


class WantedRanking(NamedTuple):
    """The best ``depth`` documents of some queries, as a first stage finds them."""

    retriever: Retriever
    query_ids: Sequence[str]
    depth: int


FindBest = Callable[[Retriever, Collection, Sequence[str], int], Run]
"""Finds the best documents of each query, as a retriever does itself."""


def retrieve_allowed(
    retriever: Retriever, collection: Collection, query_ids: Sequence[str], depth: int
) -> Run:
    """The best ``depth`` documents of each query that are not excluded for it, completed."""
    deeper = find_search_depth(collection, query_ids, depth)
    run = retriever.searcher.retrieve(collection, query_ids, deeper)
    return retriever.complete(run.without(collection.excluded).cut(depth), collection)


def find_search_depth(collection: Collection, query_ids: Sequence[str], depth: int) -> int:
    """How deep to search so that ``depth`` documents are left without the excluded ones."""
    excluded = collection.excluded
    return depth + max((len(excluded.get(query_id, ())) for query_id in query_ids), default=0)


def find_alone(
    retriever: Retriever, collection: Collection, query_ids: Sequence[str], depth: int
) -> Run:
    """The best ``depth`` documents of each query, found in this process."""
    return retriever.retrieve(collection, query_ids, depth)


def retrieve_once(
    retriever: Retriever,
    collection: Collection,
    query_ids: Sequence[str],
    depth: int,
    store: Store,
    search: FindBest = find_alone,
) -> Run:
    """The best ``depth`` documents of each query that are not excluded for it, completed.

    They are retrieved, or read from the run that the same retriever made for the same queries. What
    completes them may depend on judgments, and is never kept. ``search`` finds the same in whatever
    process.
    """
    searcher, deeper = retriever.searcher, find_search_depth(collection, query_ids, depth)
    identity = {
        "retriever": searcher,
        "collection": collection.texts_fingerprint,
        "query_ids": list(query_ids),
        "depth": deeper,
    }

    def make(folder: Path) -> JsonObject:
        run = search(searcher, collection, query_ids, deeper)
        run.write(folder / "run.trec")
        lines = sum(map(len, run.rankings.values()))
        return {"name": run.name, "lines": lines, **describe_cuts(run.cost)}

    folder = store.artefact("runs", identity, make)
    path = folder / "run.trec"
    run = Run.read(path) if path.stat().st_size else Run("empty", {})
    run = replace(run.restrict(query_ids), cost=read_cuts(read_manifest(folder)))
    say_cuts("first stage", run.cost)
    run = run.without(collection.excluded).cut(depth)
    if run.left_out:
        logger.info("%d documents left out that are excluded for their query", run.left_out)
    completed = retriever.complete(run, collection)
    if completed.planted:
        logger.info("%d relevant documents planted that were not found", completed.planted)
    return completed
