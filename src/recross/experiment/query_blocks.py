"""A run made in blocks of queries, which any number of processes share through the store."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from recross.errors import RunError
from recross.records import Cost, JsonObject
from recross.runs import Run
from recross.sharing.executors import Executor
from recross.sharing.work import SharedWork
from recross.store import read_manifest


@dataclass(frozen=True)
class BlockForm:
    """What file the store keeps of a block, and how it is written and read."""

    unit: str
    """What it is called: ``block``, or ``part`` of a run in Parquet."""
    file: str
    write: Callable[[Run, Path], None]
    read: Callable[[Path, Sequence[str]], Run]


TREC_BLOCKS = BlockForm("block", "run.trec", Run.write, Run.read)


def choose_form(executor: Executor) -> BlockForm:
    """How blocks are kept: as run files, or in Parquet, which Ray's other users read."""
    if executor == "local":
        return TREC_BLOCKS
    from recross.experiment.parquet_blocks import read_parquet, write_parquet  # needs the extra ray

    return BlockForm("part", "pairs.parquet", write_parquet, read_parquet)


@dataclass(frozen=True)
class QueryBlocks(SharedWork):
    """So many queries a block, in the order of the run; ``form`` is how a finished one is kept."""

    made: ClassVar[str]
    """What a block is called by the store, such as ``reranked``."""
    unit: ClassVar[str] = "block"

    queries: int
    form: BlockForm

    @property
    @abstractmethod
    def query_ids(self) -> Sequence[str]:
        """All queries, in the order of the run."""

    @abstractmethod
    def rank(self, query_ids: Sequence[str]) -> Run:
        """The run of some queries."""

    @property
    def kind(self) -> str:
        """What was made, in blocks or in parts."""
        return f"{self.made}_{self.form.unit}s"

    def __len__(self) -> int:
        return -(-len(self.query_ids) // self.queries)

    def list_queries(self, number: int) -> Sequence[str]:
        """The queries of a block."""
        return self._query_ids[number * self.queries : (number + 1) * self.queries]

    def fill(self, number: int, folder: Path) -> JsonObject:
        """Make the run of a block."""
        run = self.rank(self.list_queries(number))
        self.form.write(run, folder / self.form.file)
        return {"name": run.name, "cost": asdict(run.cost)}

    def merge(self) -> Run:
        """The whole run, once every block is finished.

        Raises:
            RunError: a block is missing.
        """
        name, cost = "", Cost()
        rankings = {}
        for number in range(len(self)):
            if (folder := self.find(number)) is None:
                raise RunError(
                    f"every block must be in the store until the run is written, got none of"
                    f" number {number}; run the same command again to go on"
                )
            facts = read_manifest(folder)
            name, cost = facts["name"], cost + Cost(**facts["cost"])
            query_ids = self.list_queries(number)
            part = self.form.read(folder / self.form.file, query_ids)
            rankings.update({query_id: part.rankings.get(query_id, ()) for query_id in query_ids})
        return Run(name, rankings, cost)

    @cached_property
    def _query_ids(self) -> Sequence[str]:
        return self.query_ids
