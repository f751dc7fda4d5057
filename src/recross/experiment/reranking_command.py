"""Any run file re-ranked by any re-ranker, alone or in blocks that processes share."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from recross.collections.collection import Collection
from recross.errors import InputError
from recross.evaluation.measures import check_measures
from recross.experiment.gains import format_gains, measure_gains
from recross.experiment.reranked_blocks import SharedReranking, share_reranking
from recross.experiment.run_accounts import AccountedRun, GivenRun, complete_account
from recross.experiment.run_file_command import RunFileCommand
from recross.inference.cache.score_cache import ScoreCache
from recross.inference.session import Session
from recross.parts.bounds import FileWithin, Ge, checked
from recross.rerankers.reranker import Reranker
from recross.retrieval.cuts import say_cuts
from recross.runs import Run
from recross.writing.progress import Stages


@dataclass(frozen=True, kw_only=True)
@checked
class Reranking(RunFileCommand):
    """Any run file re-ranked by any re-ranker: writes the new run to ``output/run_file``.

    Every query of the file that the collection knows is re-ranked, to ``depth`` candidates, or all.
    Those below it stay behind them, in the order they had; ``tail="drop"`` leaves them out.
    ``cache`` is where networks keep their scores: an interrupted run goes on from them.
    Where queries are judged, ``measures`` are told of the file and of the new run.

    So many ``processes`` share the run, of ``hardware.threads`` each (``None``: one), in blocks of
    ``block_queries`` queries, which the store keeps in place of the cache: the new run has the same
    bytes for any number of processes, and where one is killed another goes on. With
    ``hardware.nodes`` so do the processes of all nodes, which see one store. For the ``executor``
    ``ray`` they are actors of a cluster of Ray, whose machines see one store, too.
    """

    reranker: Reranker
    candidates: Path
    depth: Annotated[int, Ge(1)] | None = None
    tail: Literal["keep", "drop"] = "keep"
    measures: tuple[str, ...] = ("MRR@10", "nDCG@10")
    run_file: Annotated[Path, FileWithin()] = Path("reranked.trec")
    cache: ScoreCache | None = None
    block_queries: Annotated[int, Ge(1)] = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        check_measures(self.measures)
        if self.place.result.resolve() == self.candidates.resolve():
            raise InputError(
                "run_file must not be candidates, which it would replace,"
                f" got {str(self.run_file)!r}"
            )
        session = Session(self.hardware, self.store, self.cache)
        session.settle(self, ("collection", "reranker"))

    @property
    def summary(self) -> str:
        """Where the run file lies, and what was gained where its queries are judged."""
        account = self.place.account
        kept = json.loads(account.read_text("utf-8"))["gains"] if account is not None else {}
        return "\n".join([super().summary, *format_gains(kept)])

    def make(self) -> AccountedRun:
        """The best ``depth`` candidates of every known query, in the re-ranker's order.

        Documents that the collection excludes for a query are no candidates.

        Raises:
            InputError: no query is the collection's.
        """
        with Stages(["candidates", "collection", "re-ranking", "measures"]) as stages:
            stages.begin("candidates")
            given, collection = self._open()
            stages.begin("re-ranking", f"{len(given.candidates)} queries")
            if self.processes is None:
                reranked = self.reranker.rerank(given.candidates, collection)
            else:
                reranked = self._sharing(self.reranker, given.candidates, collection)
            say_cuts("re-ranker", reranked.cost)
            stages.begin("measures")
            whole = given.complete(reranked)
            account = {
                **given.account(reranked, collection, self.depth),
                "gains": measure_gains(given.allowed, whole, collection, self.measures),
            }
        return complete_account(account, whole, collection, "reranker", self.reranker)

    def take_part(self) -> None:
        """Re-rank blocks on another node until every one is finished."""
        given, collection = self._open()
        self._sharing.do(self.reranker, given.candidates, collection)

    @property
    def _sharing(self) -> SharedReranking:
        return share_reranking(self, self.block_queries)

    def _open(self) -> tuple[GivenRun, Collection]:
        run, collection = Run.read(self.candidates), self.collection.load()
        drops_tail = self.tail == "drop"
        return GivenRun.choose(self.candidates, run, collection, self.depth, drops_tail), collection
