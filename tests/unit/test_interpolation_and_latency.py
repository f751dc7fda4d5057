import time

import pytest

from recross.errors import InputError
from recross.evaluation.latency import measure_reranking, measure_search, peak_memory_mb
from recross.records import Cost
from recross.rerankers.interpolation import choose_weight, interpolate
from recross.runs import Run

FIRST = Run.from_scores("first", {"q": {"a": 10.0, "b": 6.0, "c": 0.0}})
SECOND = Run.from_scores("second", {"q": {"a": -1.0, "b": 1.0, "c": 0.0}})


def test_interpolation_by_hand():
    mixed = dict(interpolate(FIRST, SECOND, 0.25).rankings["q"])
    assert mixed["a"] == pytest.approx(0.75 * 1.0 + 0.25 * 0.0)
    assert mixed["b"] == pytest.approx(0.75 * 0.6 + 0.25 * 1.0)
    assert mixed["c"] == pytest.approx(0.75 * 0.0 + 0.25 * 0.5)


def test_the_ends_are_the_parts_alone():
    assert interpolate(FIRST, SECOND, 0.0).doc_ids("q") == FIRST.doc_ids("q")
    assert interpolate(FIRST, SECOND, 1.0).doc_ids("q") == SECOND.doc_ids("q")
    with pytest.raises(InputError, match=r"weight must lie in \[0, 1\], got 1.5"):
        interpolate(FIRST, SECOND, 1.5)


def test_equal_scores_and_empty_rankings_are_no_trouble():
    flat = Run.from_scores("flat", {"q": {"a": 1.0, "b": 1.0}, "r": {}})
    assert dict(interpolate(flat, flat, 0.5).rankings["q"]) == {"a": 0.0, "b": 0.0}
    assert interpolate(flat, flat, 0.5).rankings["r"] == ()


def test_the_weight_is_the_best_on_dev_and_the_smallest_of_equals():
    assert choose_weight(FIRST, SECOND, {"q": {"a": 1}}) == 0.0
    assert choose_weight(FIRST, SECOND, {"q": {"b": 1}}) == 0.3  # .7 * .6 + .3 = .72 > .7


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
    assert peak_memory_mb() > 10
