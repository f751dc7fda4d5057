"""The first stage alone, which processes can share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from recross.experiment.first_stage_blocks import choose_search, share_search
from recross.experiment.run_accounts import (
    AccountedRun,
    account_for_retrieval,
    complete_account,
)
from recross.experiment.run_file_command import RunFileCommand
from recross.inference.session import Session
from recross.parts.bounds import FileWithin, Ge, checked
from recross.retrieval.retriever import Retriever, WantedRanking, retrieve_once
from recross.store import Store
from recross.writing.progress import Stages


@dataclass(frozen=True, kw_only=True)
@checked
class Retrieval(RunFileCommand):
    """The first stage only: writes what it finds to ``output/run_file``.

    So many ``processes`` share the work, of ``hardware.threads`` each (``None``: this one alone):
    what is made of documents in parts, then queries in blocks, which the store keeps. The run has
    the same bytes for any number of them. With ``hardware.nodes`` so do the processes of all nodes,
    which see one store. For the ``executor`` ``ray`` they are actors of a cluster of Ray, whose
    machines see one store, too.
    """

    retriever: Retriever
    split: str = "test"
    depth: Annotated[int, Ge(1)] = 1000
    run_file: Annotated[Path, FileWithin()] = Path("retrieved.trec")

    def __post_init__(self) -> None:
        super().__post_init__()
        Session(self.hardware, self.store).settle(self, ("collection", "retriever"))

    def make(self) -> AccountedRun:
        """The best ``depth`` documents of every query of the split."""
        with Stages(["collection", "first stage"]) as stages:
            stages.begin("collection")
            collection = self.collection.load()
            query_ids = collection.query_ids(self.split)
            stages.begin("first stage", f"{len(query_ids)} queries")
            asked = (collection, query_ids, self.depth, Store(self.store))
            run = retrieve_once(self.retriever, *asked, choose_search(self))
        account = account_for_retrieval(run, collection, self.split, self.depth)
        return complete_account(account, run, collection, "retriever", self.retriever)

    def take_part(self) -> None:
        """Encode and search on another node until everything is there."""
        collection = self.collection.load()
        wanted = WantedRanking(self.retriever, collection.query_ids(self.split), self.depth)
        share_search(self).take_part(collection, wanted)
