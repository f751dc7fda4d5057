"""Whether a reduced form of a network may stand for it: compared on development queries first."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt

from recross.collections.collection import Collection
from recross.errors import RunError
from recross.evaluation.measures import evaluate
from recross.machine.hardware import Hardware
from recross.parts.bounds import Ge, Le, checked
from recross.records import JsonObject, Qrels
from recross.rerankers.reranker import NetworkReranker, Reranker
from recross.runs import Run
from recross.seeding import make_generator

logger = logging.getLogger(__name__)

TOP = 10
_Values = npt.NDArray[np.float64]


UNCOMPARED = {"passed": None, "failures": ["no network whose scores could be compared"]}
"""The gate's record of a reduced form that answers in words, or elsewhere."""


@dataclass(frozen=True)
class Judgments:
    """Queries to compare two forms on, and the measure that decides."""

    qrels: Qrels
    measure: str
    relevant_from: int = 1

    @classmethod
    def of(cls, collection: Collection, split: str, measure: str) -> Judgments:
        """The judgments of a collection's split."""
        return cls(collection.judged(split), measure, collection.relevant_grade(split))


@dataclass(frozen=True)
@checked
class QualityGate:
    """Tolerances that a reduced precision or another back-end must keep before a study uses it.

    ``queries`` judged development queries are re-ranked in the form asked for and in the reference,
    single precision with torch. Their orders must agree to a mean Kendall's tau-b of
    ``least_tau``. The mean of the first measure may differ by ``most_measure_difference``, beyond
    twice the standard error of the difference: on few queries one exchange at the top moves it by
    more than any tolerance of use. ``on_failure="record"`` goes on and leaves the verdict in the
    record.
    """

    queries: Annotated[int, Ge(1)] = 50
    least_tau: Annotated[float, Ge(-1), Le(1)] = 0.98
    most_measure_difference: Annotated[float, Ge(0)] = 0.002
    on_failure: Literal["refuse", "record"] = "refuse"

    def sample(self, query_ids: Sequence[str]) -> list[str]:
        """The queries that are compared: always the same ones of the same list."""
        order = make_generator(0, "quality_gate").permutation(len(query_ids))
        return [query_ids[number] for number in sorted(order[: self.queries].tolist())]

    def judge(
        self,
        reranker: Reranker,
        hardware: Hardware,
        collection: Collection,
        judgments: Judgments,
        retrieve: Callable[[], Run],
    ) -> JsonObject | None:
        """Compare every network that a re-ranker is made of; return what agrees least.

        ``retrieve`` gives the candidates of the judged queries, where any is needed. ``None``:
        everything is computed as in the reference.

        Raises:
            RunError: as ``check`` does.
        """
        reduced = [network for network in reranker.networks() if not network.hardware.is_reference]
        if not reduced:
            return None if hardware.is_reference or not reranker.reranks else UNCOMPARED
        candidates = retrieve()
        sample = self.sample([q for q in candidates.rankings if q in judgments.qrels])
        candidates = candidates.restrict(sample)
        comparisons = [
            self.check(network, candidates, collection, judgments) for network in reduced
        ]
        return min(filter(None, comparisons), key=lambda comparison: float(comparison["tau_mean"]))

    def check(
        self,
        reranker: NetworkReranker,
        candidates: Run,
        collection: Collection,
        judgments: Judgments,
    ) -> JsonObject | None:
        """Compare both forms on the candidates; ``None`` where the form is the reference itself.

        Returns:
            A flat record: largest score difference, Kendall's tau (mean, least), overlap of the
            best ten, difference of the measure with its standard error, and the tolerances that
            are exceeded.

        Raises:
            RunError: a tolerance is not kept, unless ``on_failure`` is ``record``.
        """
        from recross.inference.engine import Engine

        hardware = reranker.session.hardware
        if hardware.is_reference:
            return None
        logger.info("quality gate: %d queries, in both forms", len(candidates))
        engine = Engine(reranker.network, reranker.session.reference)
        reference = reranker.rerank_with(engine, candidates, collection)
        reduced = reranker.rerank(candidates, collection)
        return self.decide(reranker.name, hardware, compare_runs(reduced, reference, judgments))

    def decide(self, name: str, hardware: Hardware, compared: JsonObject) -> JsonObject:
        """The verdict on how far a network in a hardware's form strays, as ``check`` returns it.

        Raises:
            RunError: a tolerance is not kept, unless ``on_failure`` is ``record``.
        """
        form = {"precision": hardware.effective_precision, "backend": hardware.backend}
        comparison: JsonObject = {"network": name, **form, **compared}
        failures = self.find_failures(comparison)
        if failures and self.on_failure == "refuse":
            raise RunError(
                f"quality_gate: {name} with precision={comparison['precision']} and"
                f" backend={comparison['backend']} strays from fp32 on {comparison['queries']}"
                f" queries: {'; '.join(failures)}. quality_gate.on_failure=record goes on and"
                " records it"
            )
        for failure in failures:
            logger.warning("quality gate: %s", failure)
        return {**comparison, "failures": failures, "passed": not failures}

    def find_failures(self, comparison: JsonObject) -> list[str]:
        """Which tolerances a comparison does not keep, in words."""
        failures = []
        if comparison["tau_mean"] < self.least_tau:
            failures.append(f"least_tau must be {self.least_tau}, got {comparison['tau_mean']:.4f}")
        difference = comparison["measure_difference"]
        sure = abs(difference) - 2 * comparison["measure_difference_error"]
        if sure > self.most_measure_difference:
            failures.append(
                f"most_measure_difference must be {self.most_measure_difference}, got"
                f" {difference:+.4f} (standard error {comparison['measure_difference_error']:.4f})"
                f" in {comparison['measure']}"
            )
        return failures


def compare_runs(reduced: Run, reference: Run, judgments: Judgments) -> JsonObject:
    """How far the scores, the order and the measure of one run stray from another's."""
    pairs = [_align(reduced, reference, query_id) for query_id in reference.rankings]
    taus = [compute_tau(ours, theirs) for ours, theirs in pairs]
    overlaps = [_compute_overlap(reduced, reference, query_id) for query_id in reference.rankings]
    our_measures, their_measures = (
        _measure_queries(run, judgments) for run in (reduced, reference)
    )
    differences = our_measures - their_measures
    return {
        "queries": len(pairs),
        "score_difference": max(
            (float(np.abs(ours - theirs).max()) for ours, theirs in pairs if len(ours)), default=0.0
        ),
        "tau_mean": float(np.mean(taus)),
        "tau_min": float(np.min(taus)),
        "top_10_overlap": float(np.mean(overlaps)),
        "measure": judgments.measure,
        "measure_reference": float(their_measures.mean()),
        "measure_difference": float(differences.mean()),
        "measure_difference_error": _compute_standard_error(differences),
    }


def compute_tau(ours: _Values, theirs: _Values) -> float:
    """Kendall's tau-b of two scores of the same documents; 1 where neither has an order."""
    from scipy.stats import kendalltau

    tau = float(kendalltau(ours, theirs).statistic) if len(ours) > 1 else math.nan
    if not math.isnan(tau):
        return tau
    return float(len(set(ours.tolist())) < 2 and len(set(theirs.tolist())) < 2)


def _align(reduced: Run, reference: Run, query_id: str) -> tuple[_Values, _Values]:
    theirs = {doc.doc_id: doc.score for doc in reference.rankings[query_id]}
    ours = {doc.doc_id: doc.score for doc in reduced.rankings[query_id]}
    return np.array([ours[doc_id] for doc_id in theirs]), np.array(list(theirs.values()))


def _compute_overlap(reduced: Run, reference: Run, query_id: str) -> float:
    best = set(reference.doc_ids(query_id)[:TOP])
    return len(best & set(reduced.doc_ids(query_id)[:TOP])) / len(best) if best else 1.0


def _measure_queries(run: Run, judgments: Judgments) -> _Values:
    judged = {query_id: judgments.qrels[query_id] for query_id in run.rankings}
    evaluation = evaluate(run, judged, [judgments.measure], judgments.relevant_from)
    return np.array(list(evaluation.per_query[judgments.measure].values()))


def _compute_standard_error(differences: _Values) -> float:
    if len(differences) < 2:
        return 0.0
    return float(differences.std(ddof=1) / math.sqrt(len(differences)))
