"""The files of one finished experiment, and the flat record that tables are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from recross.artefacts.manifest import unseal_folder
from recross.collections.collection import Collection
from recross.evaluation.accounts import account, describe_truncation
from recross.evaluation.latency import Latency, measure_peak_memory_mb
from recross.evaluation.measures import Evaluation, evaluate
from recross.evaluation.significance import bootstrap_interval, compute_p_value
from recross.evaluation.ties import TieRange, TieRanges, find_tie_ranges
from recross.experiment.finished_folder import RESULT
from recross.experiment.model_card import write_card
from recross.experiment.origin import describe_origin
from recross.experiment.texts import TEXTS, choose_texts
from recross.machine.environment import read_command_line
from recross.records import Cost, JsonObject
from recross.rerankers.composed.interpolation import Interpolation
from recross.runs import Run
from recross.store import write_json


@dataclass(frozen=True)
class Outcome:
    """What an experiment produced, before it is judged."""

    candidates: Run
    reranked: Run
    interpolation: Interpolation | None
    training: JsonObject
    latency: Latency | None
    first_stage_ms: Mapping[str, float]
    parameters: int | None
    seconds: float
    quality_gate: JsonObject | None = None
    attention: Sequence[str] = ()

    @cached_property
    def interpolated(self) -> Run | None:
        """The re-ranked run mixed with the first stage."""
        if self.interpolation is None:
            return None
        return self.interpolation.mix(self.candidates, self.reranked)

    @property
    def runs(self) -> list[Run]:
        """Every run that is kept."""
        mixed = [self.interpolated] if self.interpolated else []
        return [self.candidates, self.reranked, *mixed]


@dataclass(frozen=True)
class Judged:
    """The outcome's runs evaluated over one split; ``ties`` by the names of the other fields."""

    first_stage: Evaluation
    reranked: Evaluation
    interpolated: Evaluation | None
    ties: Mapping[str, TieRanges]

    @classmethod
    def of(
        cls, outcome: Outcome, collection: Collection, split: str, measures: Sequence[str]
    ) -> Judged:
        """Evaluate every run of the outcome."""
        qrels, relevant_from = collection.judged(split), collection.relevant_grade(split)
        runs = {"first_stage": outcome.candidates, "reranked": outcome.reranked}
        if outcome.interpolated is not None:
            runs["interpolated"] = outcome.interpolated
        judged = {name: evaluate(run, qrels, measures, relevant_from) for name, run in runs.items()}
        ties = {
            name: find_tie_ranges(run, qrels, judged[name], relevant_from)
            for name, run in runs.items()
        }
        return cls(judged["first_stage"], judged["reranked"], judged.get("interpolated"), ties)


def write_outcome(
    folder: Path,
    names: JsonObject,
    outcome: Outcome,
    collection: Collection,
    split: str,
    measures: Sequence[str],
) -> JsonObject:
    """Evaluate what an experiment produced, write its files, and return its record."""
    judged = Judged.of(outcome, collection, split, measures)
    result = make_record(names, outcome, judged, collection, split)
    if outcome.training:
        write_card(folder / "checkpoint", result, read_command_line())
    write_files(folder, outcome, judged, choose_texts(outcome.runs, collection, split), result)
    return result


def make_record(
    names: JsonObject,
    outcome: Outcome,
    judged: Judged,
    collection: Collection,
    split: str,
) -> JsonObject:
    """The flat record; ``names`` says which parts were combined."""
    cost = outcome.reranked.cost if names["reranks"] else Cost()
    latency = outcome.latency
    queries = account(
        outcome.reranked,
        collection.qrels(split),
        collection.query_ids(split),
        min(names["depth"], len(collection.documents)),
        collection.relevant_grade(split),
        collection.documents,
    )
    return {
        **names,
        **describe_origin(collection, split),
        "collection_name": collection.name,
        "measures": judged.reranked.mean,
        "intervals": _compute_intervals(judged.reranked),
        "ties": _describe_ranges(judged.ties["reranked"].mean),
        "first_stage_measures": judged.first_stage.mean,
        "first_stage_ties": _describe_ranges(judged.ties["first_stage"].mean),
        "p_values": _compute_p_values(judged.reranked, judged.first_stage),
        "interpolation": _describe_interpolation(outcome, judged),
        "latency_ms_per_100": _describe_latency(latency),
        "first_stage_ms": dict(outcome.first_stage_ms),
        "pairs_per_second": latency.pairs_per_second if latency else None,
        "tokens_per_second": latency.tokens_per_second if latency else None,
        "parameters": outcome.parameters,
        "attention": list(outcome.attention),
        "size_mb": outcome.parameters * 4 / 1e6 if outcome.parameters else None,
        "peak_memory_mb": measure_peak_memory_mb(),
        "training": dict(outcome.training),
        "quality_gate": outcome.quality_gate,
        "queries": queries,
        "left_out": outcome.candidates.left_out,
        "planted": outcome.candidates.planted,
        "truncation": describe_truncation(cost),
        "first_stage_truncation": describe_truncation(outcome.candidates.cost),
        "cache": {
            "hits": cost.cache_hits,
            "misses": cost.cache_misses,
            "damaged": cost.cache_damaged,
        },
        "cost": asdict(cost),
        "seconds": outcome.seconds,
        "status": "done",
    }


def write_files(
    folder: Path, outcome: Outcome, judged: Judged, texts: JsonObject, result: JsonObject
) -> None:
    """Write runs, measures and texts, and the record that is made of them last."""
    unseal_folder(folder)
    outcome.candidates.write(folder / "candidates.trec")
    outcome.reranked.write(folder / "reranked.trec")
    evaluations = {"reranked": judged.reranked, "first_stage": judged.first_stage}
    if outcome.interpolated is not None and judged.interpolated is not None:
        outcome.interpolated.write(folder / "interpolated.trec")
        evaluations["interpolated"] = judged.interpolated
    measures = {
        name: {
            "mean": evaluation.mean,
            "interval_95": _compute_intervals(evaluation),
            "ties": _describe_ties(judged.ties[name]),
            "per_query": evaluation.per_query,
        }
        for name, evaluation in evaluations.items()
    }
    write_json(folder / "measures.json", measures)
    write_json(folder / TEXTS, texts)
    write_json(folder / RESULT, result)


def _compute_intervals(evaluation: Evaluation) -> dict[str, tuple[float, float]]:
    return {
        name: bootstrap_interval(list(values.values()))
        for name, values in evaluation.per_query.items()
    }


def _compute_p_values(system: Evaluation, baseline: Evaluation) -> dict[str, float]:
    return {
        name: compute_p_value(values, baseline.per_query[name])
        for name, values in system.per_query.items()
    }


def _describe_ties(ties: TieRanges) -> JsonObject:
    return {
        "queries": ties.queries,
        "mean": _describe_ranges(ties.mean),
        "per_query": {name: _describe_ranges(values) for name, values in ties.per_query.items()},
    }


def _describe_ranges(ranges: Mapping[str, TieRange | None]) -> JsonObject:
    """The least, greatest and expected value by name; nothing is known of some measures."""
    return {name: value and value._asdict() for name, value in ranges.items()}


def _describe_interpolation(outcome: Outcome, judged: Judged) -> JsonObject | None:
    if judged.interpolated is None or outcome.interpolation is None:
        return None
    return {
        **asdict(outcome.interpolation),
        "measures": judged.interpolated.mean,
        "intervals": _compute_intervals(judged.interpolated),
        "ties": _describe_ranges(judged.ties["interpolated"].mean),
        "p_values": _compute_p_values(judged.interpolated, judged.first_stage),
    }


def _describe_latency(latency: Latency | None) -> dict[str, float] | None:
    if latency is None:
        return None
    return {
        "p50": latency.p50,
        "p95": latency.p95,
        "tokenize": latency.tokenize,
        "forward": latency.forward,
    }
