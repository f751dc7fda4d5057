"""A run re-ranked in blocks of queries, which any number of processes share through the store.

What a block holds depends on its own queries alone: it is scored by one process, on one device and
a given number of threads. So the run has the same bytes, however many processes there are,
whichever of them ends and is replaced, and wherever an interrupted one goes on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import starmap
from pathlib import Path

from recross.collections.collection import Collection
from recross.errors import RunError
from recross.machine.hardware import Hardware
from recross.machine.probes import name_kernels
from recross.parts.identity import describe
from recross.records import Cost, JsonObject, ScoredDoc
from recross.rerankers.reranker import Reranker
from recross.runs import Run
from recross.store import Store, read_manifest


@dataclass(frozen=True)
class BlockForm:
    """What file the store keeps of a block, under which kind, and how it is written and read."""

    kind: str
    file: str
    write: Callable[[Run, Path], None]
    read: Callable[[Path, Sequence[str]], Run]


TREC_BLOCKS = BlockForm("reranked_blocks", "run.trec", Run.write, Run.read)


def settle_hardware(hardware: Hardware) -> Hardware:
    """The target as each process computes on it, so that nothing is left to a probe of its own."""
    return replace(
        hardware, devices=1, threads=hardware.threads or 1, precision=hardware.effective_precision
    )


def identify_scores(reranker: Reranker, collection: Collection, hardware: Hardware) -> JsonObject:
    """What the scores of all blocks follow from, beside the candidates."""
    computed = (hardware.accelerator, hardware.threads, hardware.batch_tokens, name_kernels())
    return {
        "reranker": describe(reranker),
        "collection": collection.fingerprint,
        "computed": list(computed),
    }


@dataclass(frozen=True)
class RunBlocks:
    """Candidates in blocks of so many queries; each is re-ranked once, as an artefact.

    ``identity`` is what all scores follow from, as the process that shares the run found it;
    ``form`` is how a finished block is kept.
    """

    reranker: Reranker
    collection: Collection
    candidates: Run
    queries: int
    store: Store
    identity: JsonObject
    form: BlockForm = TREC_BLOCKS

    def __len__(self) -> int:
        return -(-len(self.candidates) // self.queries)

    def is_finished(self, number: int) -> bool:
        """Whether a block has been re-ranked, by whomever."""
        return self.store.find(self.form.kind, self._identities[number]) is not None

    def make(self, number: int) -> None:
        """Re-rank a block; if another process is at it, wait for that one."""
        self.store.artefact(self.form.kind, self._identities[number], self._maker(number))

    def make_if_free(self, number: int) -> bool:
        """Re-rank a block unless another process is at it; whether it is finished."""
        identity = self._identities[number]
        return (
            self.store.artefact_if_free(self.form.kind, identity, self._maker(number)) is not None
        )

    def merge(self) -> Run:
        """The whole run, once every block is finished, in the order of the candidates.

        Raises:
            RunError: a block is missing.
        """
        name, cost = "", Cost()
        rankings = {}
        for number in range(len(self)):
            if (folder := self.store.find(self.form.kind, self._identities[number])) is None:
                raise RunError(
                    f"every block must be in the store until the run is written, got none of"
                    f" number {number}; run the same command again to go on"
                )
            facts = read_manifest(folder)
            name, cost = facts["name"], cost + Cost(**facts["cost"])
            part = self.form.read(folder / self.form.file, self._list_queries(number))
            rankings.update({q: part.rankings.get(q, ()) for q in self._list_queries(number)})
        return Run(name, rankings, cost)

    def tell(self, number: int) -> str:
        """The candidates of a block as JSON, for a process that does not have them."""
        return json.dumps({q: self.candidates.rankings[q] for q in self._list_queries(number)})

    def take(self, told: str) -> RunBlocks:
        """One block of candidates that ``tell`` told, as a run of its own: its number is 0."""
        rankings = {q: tuple(starmap(ScoredDoc, docs)) for q, docs in json.loads(told).items()}
        return replace(self, candidates=replace(self.candidates, rankings=rankings))

    @cached_property
    def _query_ids(self) -> list[str]:
        return list(self.candidates.rankings)

    def _list_queries(self, number: int) -> list[str]:
        return self._query_ids[number * self.queries : (number + 1) * self.queries]

    @cached_property
    def _identities(self) -> list[JsonObject]:
        return [
            {**self.identity, "candidates": self._digest(number)} for number in range(len(self))
        ]

    def _digest(self, number: int) -> str:
        return hashlib.sha256(self.tell(number).encode()).hexdigest()

    def _maker(self, number: int) -> Callable[[Path], JsonObject]:
        def make(folder: Path) -> JsonObject:
            part = self.candidates.restrict(self._list_queries(number))
            reranked = self.reranker.rerank(part, self.collection)
            self.form.write(reranked, folder / self.form.file)
            return {"name": reranked.name, "cost": asdict(reranked.cost)}

        return make
