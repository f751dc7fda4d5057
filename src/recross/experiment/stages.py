"""Single stages as commands: a first stage alone, a re-ranker alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from recross.collections.collection import CollectionSource
from recross.errors import InputError
from recross.inference.cache.score_cache import ScoreCache
from recross.inference.session import Session
from recross.machine.hardware import Hardware
from recross.rerankers.reranker import Reranker, networks
from recross.retrieval.retriever import Retriever, retrieve_once
from recross.retrieval.run_file import candidates_from
from recross.runs import Run
from recross.store import DEFAULT_STORE, Store


@dataclass(frozen=True)
class Retrieval:
    """The first stage only: writes its run to ``output/run_file``."""

    collection: CollectionSource
    retriever: Retriever
    hardware: Hardware = field(default=Hardware())
    split: str = "test"
    depth: int = 1000
    output: Path = Path("outputs")
    run_file: Path = Path("retrieved.trec")
    store: Path = DEFAULT_STORE

    def __post_init__(self) -> None:
        session = Session(self.hardware, self.store)
        session.settle(self, ("collection", "retriever"))

    def run(self) -> Path:
        """Retrieve and write; returns the path of the run file."""
        self.hardware.prepare()
        collection = self.collection.load()
        query_ids = collection.query_ids(self.split)
        found = retrieve_once(self.retriever, collection, query_ids, self.depth, Store(self.store))
        found.write(self.output / self.run_file)
        return self.output / self.run_file


@dataclass(frozen=True)
class Reranking:
    """Any run file re-ranked by any re-ranker: writes the new run to ``output/run_file``.

    Every query of the file that the collection knows is re-ranked. ``cache`` is where networks keep
    their scores: an interrupted run goes on from them.
    """

    collection: CollectionSource
    reranker: Reranker
    candidates: Path
    hardware: Hardware = field(default=Hardware())
    depth: int = 100
    output: Path = Path("outputs")
    run_file: Path = Path("reranked.trec")
    store: Path = DEFAULT_STORE
    cache: ScoreCache | None = None

    def __post_init__(self) -> None:
        session = Session(self.hardware, self.store, self.cache)
        session.settle(self, ("collection", "reranker"))

    def run(self) -> Path:
        """Re-rank and write; returns the path of the run file.

        Raises:
            InputError: a network has a head that was never trained, or no query is the
                collection's.
        """
        for part in networks(self.reranker):
            part.check_trained()
        run = Run.read(self.candidates)
        collection = self.collection.load()
        known = [query_id for query_id in run.rankings if query_id in collection.queries]
        if not known:
            first = next(iter(run.rankings))
            raise InputError(f"candidates must rank queries of the collection, got {first!r}")
        candidates = candidates_from(run, collection, known, str(self.candidates)).cut(self.depth)
        self.reranker.rerank(candidates, collection).write(self.output / self.run_file)
        return self.output / self.run_file
