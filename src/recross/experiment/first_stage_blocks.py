"""A first stage that processes share: what it makes of documents in parts, queries in blocks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from recross.collections.collection import Collection, CollectionSource
from recross.experiment.networks import load_networks
from recross.experiment.query_blocks import BlockForm, QueryBlocks, choose_form
from recross.experiment.run_file_command import RunFileCommand
from recross.inference.session import Session
from recross.machine.hardware import Hardware
from recross.parts.identity import describe
from recross.parts.rebuilding import rebuild
from recross.records import JsonObject
from recross.retrieval.cuts import describe_cuts, read_cuts
from recross.retrieval.retriever import (
    FindBest,
    Retriever,
    WantedRanking,
    find_alone,
    find_search_depth,
)
from recross.runs import Run
from recross.sharing.executors import Sharing
from recross.sharing.work import SharedWork, settle_hardware
from recross.store import Store, read_manifest

QUERIES_PER_BLOCK = 256
"""As many as exact search multiplies together: alone or shared, products are summed alike."""


@dataclass(frozen=True)
class RetrievedBlocks(QueryBlocks):
    """Queries in blocks; each is searched once, as an artefact."""

    doing: ClassVar[str] = "searching"
    made: ClassVar[str] = "retrieved"

    retriever: Retriever
    collection: Collection
    all_query_ids: tuple[str, ...]
    depth: int

    @property
    def query_ids(self) -> Sequence[str]:
        """Those that are searched."""
        return self.all_query_ids

    def rank(self, query_ids: Sequence[str]) -> Run:
        """FindBest for some queries; what documents lost is counted of the whole run, once."""
        run = self.retriever.retrieve(self.collection, query_ids, self.depth)
        return replace(run, cost=run.cost - self.retriever.document_cost(self.collection))

    def fill(self, number: int, folder: Path) -> JsonObject:
        """FindBest for a block of queries."""
        of_documents = describe_cuts(self.retriever.document_cost(self.collection))
        return {**super().fill(number, folder), "documents": of_documents}

    def identify(self, number: int) -> JsonObject:
        """What a block follows from."""
        told = json.dumps(self.list_queries(number))
        return {**self._identity, "queries": hashlib.sha256(told.encode()).hexdigest()}

    def merge(self) -> Run:
        """The whole run, once every block is finished; documents are counted once."""
        run = super().merge()
        first = self.find(0)
        if first is None:  # there is no query
            return run
        return replace(run, cost=run.cost + read_cuts(read_manifest(first)["documents"]))

    @cached_property
    def _identity(self) -> JsonObject:
        return {
            "retriever": describe(self.retriever),
            "collection": self.collection.texts_fingerprint,
            "depth": self.depth,
        }


@dataclass(frozen=True)
class FirstStageTask:
    """What a process is told: the first stage, its queries, and which of its works to do.

    Works are what it makes of documents, by number, then, at the number behind them, the search.
    ``uses`` is all that the processes of the command come to, sooner or later.
    """

    retriever: Retriever
    collection: CollectionSource
    query_ids: tuple[str, ...]
    depth: int
    hardware: Hardware
    store: Store
    form: BlockForm
    uses: object
    number: int = 0

    def open(self) -> SharedWork:
        """The work, in a process that is made ready to compute it.

        Raises:
            InputError: a network that the command uses is missing, or was never trained.
        """
        self.hardware.prepare()
        load_networks(rebuild(self.uses, replace))  # copies, which do not stay in memory
        return self.list_works(self.collection.load())[self.number]

    def list_works(self, collection: Collection) -> list[SharedWork]:
        """All works, with the collection at hand."""
        return [*self.retriever.document_parts(collection), self.divide(collection)]

    def divide(self, collection: Collection) -> RetrievedBlocks:
        """The search, in blocks of queries."""
        return RetrievedBlocks(
            self.store,
            QUERIES_PER_BLOCK,
            self.form,
            self.retriever,
            collection,
            self.query_ids,
            self.depth,
        )

    def without_pieces(self) -> FirstStageTask:
        """The same: queries are few."""
        return self


@dataclass(frozen=True)
class SharedSearch:
    """Searches as a retriever does, in processes; they load the collection from its ``source``."""

    source: CollectionSource
    hardware: Hardware
    store: Store
    sharing: Sharing
    uses: object

    def __call__(
        self, retriever: Retriever, collection: Collection, query_ids: Sequence[str], depth: int
    ) -> Run:
        """The best ``depth`` documents of each query.

        Raises:
            InputError: a process was refused something.
            RunError: processes are killed again and again, or no cluster of Ray answers.
        """
        return self._do(retriever, collection, query_ids, depth).divide(collection).merge()

    def take_part(self, collection: Collection, wanted: WantedRanking) -> None:
        """Do on another node what is to be done for a ranking, until everything is there."""
        retriever, query_ids, depth = wanted
        deeper = find_search_depth(collection, query_ids, depth)
        self._do(retriever.searcher, collection, query_ids, deeper)

    def _do(
        self, retriever: Retriever, collection: Collection, query_ids: Sequence[str], depth: int
    ) -> FirstStageTask:
        form = choose_form(self.sharing.executor)
        session = Session(self.hardware, self.store.root)
        asked = (tuple(query_ids), depth, self.hardware, self.store, form)
        retriever, uses = session.over((retriever, self.uses))
        task = FirstStageTask(retriever, self.source, *asked, uses)
        for number, work in enumerate(task.list_works(collection)):
            self.sharing.do(work, replace(task, number=number))
        return task


def share_search(command: RunFileCommand) -> SharedSearch:
    """How the processes of a command search."""
    hardware = settle_hardware(command.hardware)
    store, uses = Store(command.store), command.needs.parts
    return SharedSearch(command.collection, hardware, store, command.sharing, uses)


def choose_search(command: RunFileCommand) -> FindBest:
    """How a command searches: in this process, where it has no number of processes."""
    if command.processes is not None:
        return share_search(command)
    command.hardware.prepare()
    return find_alone
