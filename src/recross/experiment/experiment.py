"""An experiment: what is done with a combination of parts, in reading order."""

from __future__ import annotations

import importlib.metadata
import logging
import time
from dataclasses import dataclass, replace
from functools import partial

from recross.artefacts.folders import remove_partials
from recross.checkpoints.location import find_revisions
from recross.collections.collection import Collection
from recross.evaluation.measures import evaluate
from recross.experiment.combination import NAMED, Combination, find_dev_measure
from recross.experiment.finished_folder import (
    RESULT,
    read_finished,
    read_result,
    seal_finished,
)
from recross.experiment.place import Place
from recross.experiment.quality_gate import Judgments
from recross.experiment.readiness import CommandNeeds
from recross.experiment.results import Outcome, write_outcome
from recross.experiment.run_accounts import say_small_collection
from recross.experiment.summary import summarise
from recross.experiment.timing import time_stages
from recross.parts.fields import read_field_values
from recross.parts.identity import describe, fingerprint
from recross.records import Cost, JsonObject
from recross.rerankers.composed.interpolation import Interpolation, tune_interpolation
from recross.rerankers.form import find_attentions, find_form
from recross.rerankers.reranker import Reranker, is_trainable
from recross.retrieval.cuts import say_cuts
from recross.retrieval.retriever import retrieve_once
from recross.runs import Run
from recross.store import Store
from recross.tracking.tracker import Log
from recross.training.recipe import FineTuning
from recross.writing.progress import Stages

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Experiment(Combination):
    """One combination of parts and one seed, trained and measured; ``run`` writes its folder."""

    @property
    def place(self) -> Place:
        """Its files; a failure is recorded in place of the result."""
        result = self.folder / RESULT
        return Place(
            result=result,
            config=self.folder / "config.yaml",
            failure=result,
            lock=self.lock,
            study=self.output / self.study,
            is_finished=lambda: read_finished(self.folder, self.fingerprint) is not None,
        ).on_node(self.hardware)

    @property
    def needs(self) -> CommandNeeds:
        """What will be used, and the split that is tested."""
        needs = super().needs
        return replace(needs, splits={**needs.splits, "test_split": self.test_split})

    @property
    def summary(self) -> str:
        """What was found, what was left out, where it lies, and what comes next."""
        result = read_result(self.folder)
        return summarise(self.folder, result) if result is not None else str(self.folder)

    @property
    def fingerprint(self) -> str:
        """What the experiment is, wherever it is stored."""
        return fingerprint(self, importlib.metadata.version("recross"))

    def run(self) -> JsonObject:
        """Retrieve, sample negatives, train, re-rank, evaluate, time; return ``result.json``.

        Other processes that run the same experiment wait, and reuse what this one has finished. A
        node that is not the first does the part that nodes share.
        """
        if not self.hardware.is_first_node:
            return self.take_part(self.place)
        with self.place.alone(), Stages(self.stages) as stages:
            if self.reuse and (done := read_finished(self.folder, self.fingerprint)):
                logger.info("%s: finished before, reused", self.folder)
                return done
            start, log = time.perf_counter(), self._begin()
            stages.begin("collection")
            collection = self.collection.load()
            collection.judged(self.test_split)  # refused before any work
            say_small_collection(collection, self.depth)
            stages.begin("training")
            reranker, training = self.train(collection, log)
            stages.begin("quality gate")
            quality_gate = self._pass_gate(reranker, collection)
            stages.begin("first stage")
            candidates = self.retrieve(collection, self.test_split)
            stages.begin("re-ranking", f"{len(candidates)} queries")
            reranked = reranker.rerank(candidates, collection)
            say_cuts("re-ranker", reranked.cost if reranker.reranks else Cost())
            stages.begin("interpolation")
            interpolation = self._tune_interpolation(reranker, collection)
            stages.begin("latency", f"{self.latency_queries} queries", still=True)
            latency, first_stage_ms = time_stages(
                *(self.retriever, reranker, collection),
                collection.query_ids(self.test_split)[: self.latency_queries],
            )
            stages.begin("results")
            outcome = Outcome(
                candidates=candidates,
                reranked=reranked,
                interpolation=interpolation,
                training=training,
                latency=latency,
                first_stage_ms=first_stage_ms,
                parameters=(reranker if reranker.reranks else self.retriever).parameters,
                seconds=time.perf_counter() - start,
                quality_gate=quality_gate,
                attention=find_attentions(reranker),
            )
            result = write_outcome(
                self.folder, self.names, outcome, collection, self.test_split, self.measures
            )
            log.finish(result)
            seal_finished(self.folder, describe(self))
            return result

    def _begin(self) -> Log:
        """Clean up after an interrupted run, and see that the networks can be read."""
        remove_partials(self.folder)
        logger.info("%s, seed %d", self.name, self.seed)
        self.check_networks()
        return self.open_log()

    def measure_dev(self) -> float | None:
        """The measure on dev: that of the checkpoint that was chosen, else of all dev queries.

        ``None`` where dev has no judgments.
        """
        training = (read_result(self.folder) or {}).get("training")
        if training:
            return find_dev_measure(training)
        collection = self.collection.load()
        if not self._has_dev(collection):
            return None
        reranker, _ = self.train(collection)
        reranked = reranker.rerank(self.retrieve(collection, self.dev_split), collection)
        qrels, grade = collection.judged(self.dev_split), collection.relevant_grade(self.dev_split)
        return evaluate(reranked, qrels, self.measures[:1], grade).mean[self.measures[0]]

    @property
    def stages(self) -> list[str]:
        """What it does, in this order; a stage that has nothing to do is none."""
        reranks, hardware = self.reranker.reranks, self.hardware
        trains = isinstance(self.training, FineTuning) and is_trainable(self.reranker)
        wanted = {
            "collection": True,
            "training": trains,
            "quality gate": reranks and not hardware.is_reference,
            "first stage": True,
            "re-ranking": reranks,
            "interpolation": reranks and self.interpolate,
            "latency": self.latency_queries > 0,
            "results": True,
        }
        return [name for name, is_wanted in wanted.items() if is_wanted]

    @property
    def names(self) -> JsonObject:
        """Which parts are combined, for the record."""
        held = read_field_values(self)
        return {
            "study": self.study,
            "name": self.name,
            "label": self.label or self.name,
            "curve": self.curve,
            "budget_ms": self.reranker.budget_ms,
            "seed": self.seed,
            "depth": self.depth,
            **{part: describe(held[part]) for part in (*NAMED, "hardware")},
            "negatives": describe(self.training_data.negatives),
            "recipe": describe(self.training),
            **find_form(self.reranker, self.hardware)._asdict(),
            "reranks": self.reranker.reranks,
            "candidates": self.retriever.name_candidates(self.depth, self.reranker.reranks),
            "base_checkpoint": self.reranker.base_checkpoint,
            "revisions": find_revisions(
                network.base_checkpoint for network in self.reranker.networks()
            ),
            "servers": self.reranker.introduce_servers(),
            "fingerprint": self.fingerprint,
        }

    def retrieve(self, collection: Collection, split: str) -> Run:
        """The candidates of a split."""
        query_ids = collection.query_ids(split)
        return retrieve_once(self.retriever, collection, query_ids, self.depth, Store(self.store))

    def _has_dev(self, collection: Collection) -> bool:
        return bool(collection.split_qrels.get(self.dev_split))

    def _pass_gate(self, reranker: Reranker, collection: Collection) -> JsonObject | None:
        """The quality gate's verdict on dev; without judgments there test decides."""
        split = self.dev_split if self._has_dev(collection) else self.test_split
        judgments = Judgments.of(collection, split, self.measures[0])
        retrieve = partial(self.retrieve, collection, split)
        return self.quality_gate.judge(reranker, self.hardware, collection, judgments, retrieve)

    def _tune_interpolation(
        self, reranker: Reranker, collection: Collection
    ) -> Interpolation | None:
        """The interpolation that is best on dev, where one is wanted and dev is judged."""
        if not (self.interpolate and reranker.reranks and self._has_dev(collection)):
            return None
        dev = self.retrieve(collection, self.dev_split)
        return tune_interpolation(reranker, dev, collection, self.dev_split, self.measures[0])
