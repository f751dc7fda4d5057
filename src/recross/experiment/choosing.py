"""What a re-ranker on a hardware target is worth in production: quality, time, memory, by depth."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import numpy as np

from recross.collections.collection import Collection, CollectionSource
from recross.errors import InputError
from recross.evaluation.latency import measure_peak_memory_mb, time_queries
from recross.evaluation.measures import Evaluation, check_measures, evaluate
from recross.evaluation.significance import bootstrap_interval, compute_p_value
from recross.experiment.place import Place
from recross.experiment.readiness import CommandNeeds
from recross.experiment.run_accounts import GivenRun
from recross.inference.cache.score_cache import ScoreCache, turn_caches_off
from recross.inference.session import Session
from recross.machine.environment import describe_environment
from recross.machine.hardware import Hardware
from recross.parts.bounds import Filled, FolderName, Ge, Gt, checked
from recross.records import JsonObject
from recross.rerankers.composed.budget import find_affordable
from recross.rerankers.form import find_form
from recross.rerankers.reranker import Reranker
from recross.runs import Run
from recross.store import DEFAULT_STORE, write_json
from recross.writing.progress import Bar, working

logger = logging.getLogger(__name__)

CHOICE = "choice.json"
PERCENTILES = (50, 95, 99)


@dataclass(frozen=True, kw_only=True)
@checked
class Choosing:
    """One re-ranker on one hardware target, measured as it would serve: one query at a time.

    At each of ``depths`` it re-ranks the best candidates of every judged query, the others stay
    below, and ``timed_queries`` are timed alone. Depths are tried from the smallest; once 95 % of
    the queries need more than ``within_ms``, deeper ones are left out, and the largest depth that
    fits is found. It is to be run in a process of its own: its memory is the process's.
    """

    collection: CollectionSource
    reranker: Reranker
    candidates: Path
    hardware: Hardware = field(default=Hardware())
    cache: ScoreCache | None = field(default=None, compare=False)
    within_ms: Annotated[float, Gt(0)] | None = None
    depths: Annotated[tuple[Annotated[int, Ge(1)], ...], Filled("name at least one depth")] = (
        *(10, 20, 50, 100),
    )
    split: str = "test"
    measures: Annotated[tuple[str, ...], Filled("name at least one measure")] = ("MRR@10",)
    timed_queries: Annotated[int, Ge(1)] = 50
    name: Annotated[str, FolderName()] = "choice"
    words: tuple[str, ...] = ()
    output: Path = field(default=Path("outputs"), compare=False)
    store: Path = field(default=DEFAULT_STORE, compare=False)

    def __post_init__(self) -> None:
        check_measures(self.measures)
        self.hardware.require_one_node("what is timed")
        session = Session(self.hardware, self.store, self.cache)
        session.settle(self, ("collection", "reranker"))

    @property
    def needs(self) -> CommandNeeds:
        """The re-ranker, the candidates, and the split."""
        return CommandNeeds.of(self)

    @property
    def place(self) -> Place:
        """Its record, in a folder of its name."""
        folder = self.output / "choose" / self.name
        return Place(
            result=folder / CHOICE,
            config=folder / "config.yaml",
            failure=folder / "choice.failed.json",
            lock=folder / ".lock",
        )

    @property
    def summary(self) -> str:
        """One line that says where the record lies."""
        return f"wrote {self.place.result}"

    def run(self) -> JsonObject:
        """Measure, and write the record.

        Raises:
            InputError: a network has a head that was never trained, or no query is judged.
        """
        if not self.candidates.is_file():
            raise InputError(f"candidates must be a run file, got {str(self.candidates)!r}")
        self.hardware.prepare()
        start = time.perf_counter()
        self.needs.load()
        loading = time.perf_counter() - start
        with working("collection"):
            collection = self.collection.load()
        given = self._read_candidates(collection)
        first = self._evaluate(given, collection)
        loading += self._answer_once(given, collection)
        depths = list(self._measure_depths(given, collection, first))
        parameters = self.reranker.parameters
        record: JsonObject = {
            "status": "done",
            "name": self.name,
            "words": list(self.words),
            "collection": collection.name,
            "candidates": str(self.candidates),
            "queries": len(given),
            "within_ms": self.within_ms,
            **find_form(self.reranker, self.hardware)._asdict(),
            "first_stage": {"measures": first.mean, "intervals": _find_intervals(first)},
            "depths": depths,
            "load_seconds": loading,
            "peak_memory_mb": measure_peak_memory_mb(),
            "peak_gpu_memory_mb": self.hardware.peak_gpu_memory_mb,
            "parameters": parameters,
            "size_mb": parameters * 4 / 1e6 if parameters else None,
            "environment": describe_environment(self.hardware),
        }
        write_json(self.place.result, record)
        return record

    def _read_candidates(self, collection: Collection) -> Run:
        """The judged queries of the split with the candidates that the file has for them."""
        judged = collection.judged(self.split)
        given = GivenRun.choose(self.candidates, Run.read(self.candidates), collection, None)
        found = [q for q, ranking in given.allowed.rankings.items() if q in judged and ranking]
        if not found:
            raise InputError(
                f"candidates must rank judged queries of the split {self.split!r}, got none in"
                f" {str(self.candidates)!r}"
            )
        return given.allowed.restrict(found)

    def _answer_once(self, given: Run, collection: Collection) -> float:
        """Seconds that the first query takes, which is part of starting: what is lazy is done."""
        with turn_caches_off(), Bar("timing the first query", still=True):
            query = given.cut(1).restrict([*given.rankings][:1])
            return time_queries(self.reranker.rerank, query, collection, warmup=0)[0]

    def _measure_depths(
        self, given: Run, collection: Collection, first: Evaluation
    ) -> Iterator[JsonObject]:
        deepest = max(map(len, given.rankings.values()))
        affordable = 0
        for depth in sorted({min(depth, deepest) for depth in self.depths}):
            measured = self._measure(given, collection, depth, first)
            yield measured
            if self.within_ms is not None and measured["p95_ms"] > self.within_ms:
                fits = find_affordable(
                    self.within_ms,
                    depth - 1,
                    lambda tried: self._time(given.cut(tried), collection)["p95_ms"],
                )
                if fits > affordable:
                    yield self._measure(given, collection, fits, first)
                return
            affordable = depth

    def _measure(
        self, given: Run, collection: Collection, depth: int, first: Evaluation
    ) -> JsonObject:
        """Quality of all queries and times of some, with so many candidates re-ranked."""
        logger.info("%s: depth %d", self.name, depth)
        cut = given.cut(depth)
        judged = self._evaluate(self.reranker.rerank(cut, collection).with_tail(given), collection)
        return {
            "depth": depth,
            "measures": judged.mean,
            "intervals": _find_intervals(judged),
            "p_values": {
                name: compute_p_value(values, first.per_query[name])
                for name, values in judged.per_query.items()
            },
            **self._time(cut, collection),
        }

    def _evaluate(self, run: Run, collection: Collection) -> Evaluation:
        qrels = collection.judged(self.split)
        asked = {query_id: qrels[query_id] for query_id in run.rankings}
        return evaluate(run, asked, self.measures, collection.relevant_grade(self.split))

    def _time(self, cut: Run, collection: Collection) -> dict[str, float]:
        timed = cut.restrict([*cut.rankings][: self.timed_queries])
        most = max(map(len, timed.rankings.values()))
        name = f"timing {len(timed)} queries of {most} candidates"
        with turn_caches_off(), Bar(name, still=True):
            seconds = np.array(time_queries(self.reranker.rerank, timed, collection))
        pairs = sum(map(len, timed.rankings.values()))
        quantiles = np.percentile(seconds * 1000, PERCENTILES).tolist()
        return {
            **{f"p{number}_ms": ms for number, ms in zip(PERCENTILES, quantiles, strict=True)},
            "pairs_per_second": pairs / float(seconds.sum()),
            "queries_per_second": len(timed) / float(seconds.sum()),
        }


def _find_intervals(judged: Evaluation) -> dict[str, tuple[float, float]]:
    return {
        name: bootstrap_interval(list(values.values())) for name, values in judged.per_query.items()
    }
