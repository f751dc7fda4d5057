"""A run of the toy collection, and a re-ranker of it that says what it does and where it dies."""

import os
import signal
from dataclasses import dataclass
from pathlib import Path

from recross.collections.files import BeirFolder
from recross.errors import RunError
from recross.experiment.reranking_command import Reranking
from recross.rerankers.reranker import Reranker
from recross.retrieval.random_order import RandomOrder
from recross.runs import Run
from tests.conftest import toy_collection


def write_candidates(path):
    collection = toy_collection()
    RandomOrder(3).retrieve(collection, collection.query_ids("test"), 12).write(path)
    return path


@dataclass(frozen=True)
class ByLength(Reranker):
    """Scores by length, and says which process began with which query.

    The first process that comes to the query ``deadly`` is killed there; ``None``: none is.
    """

    said: str
    deadly: str | None = None

    def rerank(self, candidates, collection):
        scores = {}
        for query_id, ranking in candidates.rankings.items():
            with Path(self.said).open("a") as file:
                file.write(f"{os.getpid()} {query_id}\n")
            if query_id == self.deadly and Path(self.said).read_text().count(f" {query_id}\n") == 1:
                os.kill(os.getpid(), signal.SIGKILL)
            texts = {doc.doc_id: collection.documents[doc.doc_id] for doc in ranking}
            scores[query_id] = {doc_id: len(text) / 7 for doc_id, text in texts.items()}
        return Run.from_scores("by length", scores)


@dataclass(frozen=True)
class Stopped(ByLength):
    """Stops at the query ``stop`` as long as there is a file of that name beside ``said``."""

    stop: str = ""

    def rerank(self, candidates, collection):
        if self.stop in candidates.rankings and Path(self.said).with_name(self.stop).exists():
            raise RunError("stopped")
        return super().rerank(candidates, collection)


def make_reranking(folder, beir_folder, reranker, name, **more):
    """The command that re-ranks the test queries in blocks of three, with a store of its own."""
    return Reranking(
        collection=BeirFolder(beir_folder),
        reranker=reranker,
        candidates=write_candidates(folder / "candidates.trec"),
        measures=("MRR@10",),
        output=folder / name,
        store=folder / name / "store",
        **{"processes": 1, "block_queries": 3, **more},
    )
