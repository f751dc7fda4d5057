"""The mining of negatives alone, which processes can share; trainings find it in the store."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from recross.errors import InputError
from recross.experiment.first_stage_blocks import choose_search, share_search
from recross.experiment.reranked_blocks import share_reranking
from recross.experiment.run_accounts import AccountedRun, complete_account
from recross.experiment.run_file_command import RunFileCommand
from recross.inference.session import Session
from recross.negatives.sampler import MinedRanking, NegativeSampler
from recross.negatives.workers import QUERIES_JUDGED_AT_ONCE, Workers
from recross.parts.bounds import FileWithin, checked
from recross.retrieval.fusion import fuse
from recross.store import Store
from recross.writing.progress import Stages


@dataclass(frozen=True, kw_only=True)
@checked
class Mining(RunFileCommand):
    """Mines for every query of a split: writes what may be drawn to ``output/run_file``.

    A training with the same ``negatives`` finds what was mined in the store. Where a strategy mines
    from several rankings, the file holds their candidates in reciprocal-rank fusion.

    So many ``processes`` search, of ``hardware.threads`` each (``None``: this one alone), as in
    ``Retrieval``, and let the re-rankers of filters judge what they find, as in ``Reranking``.
    """

    negatives: NegativeSampler
    split: str = "train"
    run_file: Annotated[Path, FileWithin()] = Path("negatives.trec")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.negatives.windows:
            name = type(self.negatives).__name__
            raise InputError(f"negatives must be mined from a ranking, got {name}, which draws any")
        Session(self.hardware, self.store).settle(self, ("collection", "negatives"))

    def make(self) -> AccountedRun:
        """What may be drawn for every query of the split that has a relevant document."""
        windows = self.negatives.windows
        mined: dict[str, MinedRanking] = {}
        with Stages(["collection", *windows]) as stages:
            stages.begin("collection")
            collection = self.collection.load()
            workers = self._choose_workers()
            for name, window in windows.items():
                stages.begin(name)
                mined[name] = window.mine(collection, self.split, Store(self.store), workers)
        runs = [of_window.pool.candidates for of_window in mined.values()]
        account = {
            "split": self.split,
            "mined": {name: of_window.counts for name, of_window in mined.items()},
        }
        run = runs[0] if len(runs) == 1 else fuse(runs)
        return complete_account(account, run, collection, "negatives", self.negatives)

    def take_part(self) -> None:
        """Search and judge on another node until everything is there."""
        collection, search = self.collection.load(), share_search(self)
        asked = (collection, self.split, Store(self.store))
        for window in self.negatives.windows.values():
            if not window.is_mined(*asked):
                search.take_part(collection, window.find_wanted(collection, self.split))
                window.take_part(*asked, self._choose_workers())

    def _choose_workers(self) -> Workers:
        """Processes where there is a number of them, else this one."""
        search = choose_search(self)
        if self.processes is None:
            return Workers(search)
        return Workers(search, share_reranking(self, QUERIES_JUDGED_AT_ONCE))
