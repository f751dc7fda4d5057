import time

import numpy as np
import pytest

from recross.errors import InputError
from recross.evaluation.latency import measure_peak_memory_mb, measure_reranking, measure_search
from recross.records import Cost
from recross.rerankers.composed.interpolation import (
    WEIGHTS,
    Interpolated,
    Interpolation,
    choose_interpolation,
)
from recross.rerankers.reranker import Reranker
from recross.runs import Run

FIRST = Run.from_scores("first", {"q": {"a": 10.0, "b": 6.0, "c": 0.0}})
SECOND = Run.from_scores("second", {"q": {"a": -1.0, "b": 1.0, "c": 0.0}})


def test_interpolation_by_hand():
    mixed = dict(
        Interpolation(0.25, first_scale=10.0, second_scale=2.0).mix(FIRST, SECOND).rankings["q"]
    )
    assert mixed["a"] == pytest.approx(0.75 * 1.0 + 0.25 * -0.5)
    assert mixed["b"] == pytest.approx(0.75 * 0.6 + 0.25 * 0.5)
    assert mixed["c"] == pytest.approx(0.0)


def test_the_ends_are_the_parts_alone():
    assert Interpolation(0.0).mix(FIRST, SECOND).doc_ids("q") == FIRST.doc_ids("q")
    assert Interpolation(1.0).mix(FIRST, SECOND).doc_ids("q") == SECOND.doc_ids("q")


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((1.5,), r"weight must lie in \[0, 1\], got 1.5"),
        ((0.5, 0.0), "first_scale must be positive, got 0.0"),
    ],
)
def test_bad_interpolations_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        Interpolation(*arguments)


def test_equal_scores_and_empty_rankings_are_no_trouble():
    flat = Run.from_scores("flat", {"q": {"a": 1.0, "b": 1.0}, "r": {}})
    chosen = choose_interpolation(flat, flat, {"q": {"a": 1}})
    assert (chosen.first_scale, chosen.second_scale) == (1.0, 1.0)
    assert chosen.mix(flat, flat).rankings["r"] == ()


def test_scales_are_the_spread_within_a_query_and_the_weight_the_best_on_dev():
    only_first = choose_interpolation(FIRST, SECOND, {"q": {"a": 1}})
    assert only_first.weight == 0.0
    assert only_first.first_scale == pytest.approx(np.std([10.0, 6.0, 0.0]))
    assert only_first.second_scale == pytest.approx(np.std([-1.0, 1.0, 0.0]))
    both = choose_interpolation(FIRST, SECOND, {"q": {"b": 1}})
    gap_first, gap_second = 4 / both.first_scale, 2 / both.second_scale
    smallest = gap_first / (gap_first + gap_second)
    assert both.weight == min(w for w in WEIGHTS if w > smallest)


class Second(Reranker):
    def rerank(self, candidates, collection):
        return Run("second", SECOND.rankings, Cost(pairs=3))


def test_a_re_ranker_mixed_at_a_given_weight_by_hand(collection):
    mixed = Interpolated(Second(), 0.25).rerank(FIRST, collection)
    scales = np.std([10.0, 6.0, 0.0]), np.std([-1.0, 1.0, 0.0])
    scores = dict(mixed.rankings["q"])
    assert scores["a"] == pytest.approx(0.75 * 10 / scales[0] + 0.25 * -1 / scales[1])
    assert scores["b"] == pytest.approx(0.75 * 6 / scales[0] + 0.25 * 1 / scales[1])
    assert (mixed.name, mixed.cost.pairs) == ("second+first", 3)
    assert Interpolated(Second(), 0.25, alias="mixed").rerank(FIRST, collection).name == "mixed"


def test_a_given_weight_lies_between_the_two():
    with pytest.raises(InputError, match=r"weight must lie in \[0, 1\], got -0.5"):
        Interpolated(Second(), -0.5)


def test_latency_is_per_hundred_documents_and_leaves_the_warm_up_out(collection):
    calls = []

    def stage(run, _):
        calls.append(run)
        time.sleep(0.02)
        return Run(
            "slow", run.rankings, Cost(tokens=50, tokenize_seconds=0.002, forward_seconds=0.01)
        )

    scores = {f"q{n}": {f"d{m}": float(m) for m in range(50)} for n in range(4)}
    latency = measure_reranking(stage, Run.from_scores("x", scores), collection, warmup=2)
    assert len(calls) == 6
    assert all(len(run) == 1 for run in calls)
    assert 40 <= latency.p50 <= latency.p95
    assert latency.tokenize == pytest.approx(4)
    assert latency.forward == pytest.approx(20)
    assert latency.pairs_per_second <= 50 / 0.02


def test_latency_needs_candidates(collection):
    with pytest.raises(InputError, match="latency needs at least one query"):
        measure_reranking(lambda run, _: run, Run.from_scores("x", {"q0": {}}), collection)


def test_search_is_timed_one_query_at_a_time():
    asked = []

    def search(query_ids):
        asked.append(list(query_ids))
        return Run("x", {})

    assert measure_search(search, ["q1", "q2"], warmup=1).keys() == {"p50", "p95"}
    assert asked == [["q1"], ["q1"], ["q2"]]
    assert measure_peak_memory_mb() > 10
