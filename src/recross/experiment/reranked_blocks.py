"""A run re-ranked in blocks of queries: what its scores follow from, and what a process is told."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import starmap
from typing import ClassVar

from recross.collections.collection import Collection, CollectionSource
from recross.experiment.networks import load_networks
from recross.experiment.query_blocks import BlockForm, QueryBlocks, choose_form
from recross.experiment.run_file_command import RunFileCommand
from recross.inference.session import Session
from recross.machine.hardware import Hardware
from recross.machine.probes import name_kernels
from recross.parts.identity import describe
from recross.records import JsonObject, Ranking, ScoredDoc
from recross.rerankers.reranker import Reranker
from recross.runs import Run
from recross.sharing.executors import Sharing
from recross.sharing.work import SharedWork, settle_hardware
from recross.store import Store


def identify_scores(reranker: Reranker, collection: Collection, hardware: Hardware) -> JsonObject:
    """What the scores of all blocks follow from, beside the candidates."""
    computed = (hardware.accelerator, hardware.threads, hardware.batch_tokens, name_kernels())
    return {
        "reranker": describe(reranker),
        "collection": collection.fingerprint,
        "computed": list(computed),
    }


@dataclass(frozen=True)
class RerankedBlocks(QueryBlocks):
    """Candidates in blocks of so many queries; each is re-ranked once, as an artefact.

    ``identity`` is what all scores follow from, as the process that shares the run found it.
    """

    doing: ClassVar[str] = "re-ranking"
    made: ClassVar[str] = "reranked"

    reranker: Reranker
    collection: Collection
    candidates: Run
    identity: JsonObject

    @property
    def query_ids(self) -> Sequence[str]:
        """Those of the candidates."""
        return list(self.candidates.rankings)

    def rank(self, query_ids: Sequence[str]) -> Run:
        """Re-rank the candidates of some queries."""
        return self.reranker.rerank(self.candidates.restrict(query_ids), self.collection)

    def identify(self, number: int) -> JsonObject:
        """What the scores of a block follow from."""
        return self._identities[number]

    def tell(self, number: int) -> str:
        """The candidates of a block as JSON, for a process that does not have them."""
        return json.dumps({q: [*self.candidates.rankings[q]] for q in self.list_queries(number)})

    def take(self, told: str) -> tuple[RerankedBlocks, int]:
        """One block of candidates that ``tell`` told, as a run of its own."""
        listed = json.loads(told).items()
        rankings = {query_id: Ranking.of(starmap(ScoredDoc, docs)) for query_id, docs in listed}
        return replace(self, candidates=replace(self.candidates, rankings=rankings)), 0

    @cached_property
    def _identities(self) -> list[JsonObject]:
        return [
            {**self.identity, "candidates": self._digest(number)} for number in range(len(self))
        ]

    def _digest(self, number: int) -> str:
        return hashlib.sha256(self.tell(number).encode()).hexdigest()


@dataclass(frozen=True)
class RerankingTask:
    """What a process is told: the candidates, and what re-ranks how many of their queries.

    ``number`` is that of the work to do: what the re-ranker makes of documents, then the blocks.
    """

    reranker: Reranker
    collection: CollectionSource
    candidates: Run
    queries: int
    hardware: Hardware
    store: Store
    identity: JsonObject
    form: BlockForm
    number: int = 0

    def open(self) -> SharedWork:
        """The work, in a process that is made ready to compute it.

        Raises:
            InputError: a network of the re-ranker is missing, or was never trained.
        """
        self.hardware.prepare()
        load_networks(self.reranker)
        collection = self.collection.load()
        works = [*self.reranker.document_parts(collection), self.divide(collection)]
        return works[self.number]

    def divide(self, collection: Collection) -> RerankedBlocks:
        """The blocks of the run, with the collection at hand."""
        return RerankedBlocks(
            self.store,
            self.queries,
            self.form,
            self.reranker,
            collection,
            self.candidates,
            self.identity,
        )

    def without_pieces(self) -> RerankingTask:
        """The same without candidates."""
        return replace(self, candidates=replace(self.candidates, rankings={}))


@dataclass(frozen=True)
class SharedReranking:
    """Re-ranks as a re-ranker does, in processes, which load the collection from its ``source``."""

    source: CollectionSource
    hardware: Hardware
    store: Store
    sharing: Sharing
    queries: int
    """Of a block."""

    def __call__(self, reranker: Reranker, candidates: Run, collection: Collection) -> Run:
        """Order every query's candidates.

        Raises:
            InputError: a process was refused something.
            RunError: processes are killed again and again, or no cluster of Ray answers.
        """
        return self.do(reranker, candidates, collection).merge()

    def do(self, reranker: Reranker, candidates: Run, collection: Collection) -> RerankedBlocks:
        """The candidates in blocks, all of them re-ranked, by processes of all nodes."""
        reranker = Session(self.hardware, self.store.root).over(reranker)
        task = RerankingTask(
            reranker,
            self.source,
            candidates,
            self.queries,
            self.hardware,
            self.store,
            identify_scores(reranker, collection, self.hardware),
            choose_form(self.sharing.executor),
        )
        parts, blocks = reranker.document_parts(collection), task.divide(collection)
        for number, work in enumerate(parts):
            self.sharing.do(work, replace(task.without_pieces(), number=number))
        self.sharing.do(blocks, replace(task, number=len(parts)))
        return blocks


def share_reranking(command: RunFileCommand, queries: int) -> SharedReranking:
    """How the processes of a command re-rank, so many queries a block."""
    hardware, store = settle_hardware(command.hardware), Store(command.store)
    return SharedReranking(command.collection, hardware, store, command.sharing, queries)
