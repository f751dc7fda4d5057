"""What the commands do beside whole experiments: a first stage, a training, a re-ranker alone."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from recross.collections.collection import Collection, CollectionSource
from recross.errors import InputError
from recross.evaluation.measures import check_measures
from recross.experiment.combination import Combination, find_dev_measure
from recross.experiment.first_stage_blocks import choose_search
from recross.experiment.gains import format_gains, measure_gains
from recross.experiment.origin import describe_origin
from recross.experiment.place import Place
from recross.experiment.query_blocks import choose_form
from recross.experiment.reranked_blocks import (
    RerankedBlocks,
    RerankingTask,
    identify_scores,
    settle_hardware,
)
from recross.experiment.run_accounts import (
    AccountedRun,
    GivenRun,
    account_for_retrieval,
    complete_account,
)
from recross.experiment.run_file_command import RunFileCommand
from recross.inference.cache.score_cache import ScoreCache
from recross.inference.session import Session
from recross.parts.bounds import FileWithin, Ge, Le, checked
from recross.parts.identity import describe
from recross.records import JsonObject
from recross.rerankers.reranker import Reranker
from recross.retrieval.cuts import say_cuts
from recross.retrieval.retriever import Retriever, retrieve_once
from recross.runs import Run
from recross.sharing.executors import Executor, Sharing, check_executor
from recross.store import Store, write_json
from recross.writing.progress import Stages, working


@dataclass(frozen=True)
class CheckpointTraining(Combination):
    """The training of an experiment without the rest; ``run`` returns the record of it."""

    @property
    def place(self) -> Place:
        """Its files in the experiment's folder; the record of a finished experiment stays."""
        return Place(
            result=self.folder / "checkpoint",
            config=self.folder / "config.yaml",
            failure=self.folder / "training.failed.json",
            lock=self.lock,
            account=self.folder / "training.json",
        ).on_node(self.hardware)

    @property
    def summary(self) -> str:
        """One line that says where the checkpoint lies."""
        return f"wrote {self.place.result}"

    def run(self) -> JsonObject:
        """Train; returns what training took.

        Raises:
            InputError: the re-ranker has no network to train, or training is ``none``.
        """
        if not self.hardware.is_first_node:
            return self.take_part(self.place)
        with self.place.alone():
            return self._train_alone()

    def measure_dev(self) -> float | None:
        """The measure of the checkpoint that was chosen."""
        path = self.folder / "training.json"
        return find_dev_measure(json.loads(path.read_text(encoding="utf-8"))["training"])

    def _train_alone(self) -> JsonObject:
        log = self.open_log()
        with Stages(["collection", "training"]) as stages:
            stages.begin("collection")
            collection = self.collection.load()
            stages.begin("training")
            _, training = self.train(collection, log)
        if not training:
            raise InputError(
                "reranker and training must be trainable and not none,"
                f" got {type(self.reranker).__name__} and {type(self.training).__name__}"
            )
        log.finish({"training": training})
        write_json(
            self.folder / "training.json",
            {
                **describe_origin(collection, self.train_split),
                "parts": describe(self),
                "training": training,
            },
        )
        return training


@dataclass(frozen=True, kw_only=True)
@checked
class Retrieval(RunFileCommand):
    """The first stage only: writes what it finds to ``output/run_file``.

    So many ``processes`` share the work, of ``hardware.threads`` each (``None``: this one alone):
    what is made of documents in parts, then queries in blocks, which the store keeps. The run has
    the same bytes for any number of them. For the ``executor`` ``ray`` they are actors of a cluster
    of Ray, whose machines see one store.
    """

    collection: CollectionSource
    retriever: Retriever
    split: str = "test"
    depth: Annotated[int, Ge(1)] = 1000
    run_file: Annotated[Path, FileWithin()] = Path("retrieved.trec")
    processes: Annotated[int, Ge(1), Le(1024)] | None = None
    executor: Executor = "local"

    def __post_init__(self) -> None:
        self.hardware.require_one_node("a first stage")
        check_executor(self.executor, self.processes, self.hardware)
        Session(self.hardware, self.store).settle(self, ("collection", "retriever"))

    def make(self) -> AccountedRun:
        """The best ``depth`` documents of every query of the split."""
        if self.processes is None:
            with working("loading the first stage"):
                self.retriever.check()
        search = choose_search(
            self.collection, self.hardware, self.store, self.executor, self.processes
        )
        with Stages(["collection", "first stage"]) as stages:
            stages.begin("collection")
            collection = self.collection.load()
            query_ids = collection.query_ids(self.split)
            stages.begin("first stage", f"{len(query_ids)} queries")
            asked = (collection, query_ids, self.depth, Store(self.store))
            run = retrieve_once(self.retriever, *asked, search)
        account = account_for_retrieval(run, collection, self.split, self.depth)
        return complete_account(account, run, collection, "retriever", self.retriever)


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

    collection: CollectionSource
    reranker: Reranker
    candidates: Path
    depth: Annotated[int, Ge(1)] | None = None
    tail: Literal["keep", "drop"] = "keep"
    measures: tuple[str, ...] = ("MRR@10", "nDCG@10")
    run_file: Annotated[Path, FileWithin()] = Path("reranked.trec")
    cache: ScoreCache | None = None
    processes: Annotated[int, Ge(1), Le(1024)] | None = None
    block_queries: Annotated[int, Ge(1)] = 10
    executor: Executor = "local"

    def __post_init__(self) -> None:
        check_executor(self.executor, self.processes, self.hardware)
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
            InputError: a network has a head that was never trained, or no query is the
                collection's.
        """
        if self.processes is None:
            with working("loading the re-ranker"):
                self.reranker.check_trained()
        with Stages(["candidates", "collection", "re-ranking", "measures"]) as stages:
            stages.begin("candidates")
            given, collection = self._open()
            stages.begin("re-ranking", f"{len(given.candidates)} queries")
            if self.processes is None:
                reranked = self.reranker.rerank(given.candidates, collection)
            else:
                reranked = self._share(given, collection, self.processes).merge()
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
        self._share(*self._open(), self.processes or 1)

    def _open(self) -> tuple[GivenRun, Collection]:
        run, collection = Run.read(self.candidates), self.collection.load()
        drops_tail = self.tail == "drop"
        return GivenRun.choose(self.candidates, run, collection, self.depth, drops_tail), collection

    def _share(self, given: GivenRun, collection: Collection, processes: int) -> RerankedBlocks:
        """The blocks of the candidates, all of them re-ranked."""
        hardware, store = settle_hardware(self.hardware), Store(self.store)
        reranker = Session(hardware, self.store).over(self.reranker)
        task = RerankingTask(
            reranker,
            self.collection,
            given.candidates,
            self.block_queries,
            hardware,
            store,
            identify_scores(reranker, collection, hardware),
            choose_form(self.executor),
        )
        blocks = task.divide(collection)
        Sharing(self.executor, processes, self.hardware.devices).do(blocks, task)
        return blocks
