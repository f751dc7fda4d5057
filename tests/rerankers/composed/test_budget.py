"""What fits in a budget is found by measuring, read, and put above what does not fit."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from recross.errors import InputError
from recross.evaluation.latency import Latency
from recross.records import Cost
from recross.rerankers.composed import budget
from recross.rerankers.composed.budget import WithinBudget, find_affordable
from recross.rerankers.reranker import Reranker
from recross.runs import Run
from tests.conftest import toy_collection

TOY = toy_collection()


@dataclass(frozen=True)
class Turned(Reranker):
    """The last candidate comes first; how deep it was asked to read is remembered."""

    asked: list[int] = field(default_factory=list, compare=False)

    def rerank(self, candidates, collection):
        self.asked.append(max(len(r) for r in candidates.rankings.values()))
        scores = {
            query_id: {doc.doc_id: float(place) for place, doc in enumerate(ranking)}
            for query_id, ranking in candidates.rankings.items()
        }
        pairs = sum(map(len, candidates.rankings.values()))
        return Run.from_scores("turned", scores, Cost(pairs=pairs))


@pytest.fixture
def clock(monkeypatch):
    """Every document takes two milliseconds, and a query three more; what was timed is listed."""
    timed = []

    def measure(_stage, candidates, _collection):
        depth = max(len(ranking) for ranking in candidates.rankings.values())
        timed.append((depth, len(candidates.rankings)))
        took = 3 + 2 * depth
        return Latency(took * 100 / depth, 0.0, 0.0, 0.0, 0.0, 0.0, len(candidates.rankings))

    monkeypatch.setattr(budget, "measure_reranking", measure)
    return timed


def candidates(depth=20, queries=3):
    scores = {f"q{n}": {f"d{d}": float(-d) for d in range(depth)} for n in range(queries)}
    return Run.from_scores("first", scores)


@pytest.mark.usefixtures("clock")
def test_as_many_are_read_as_fit_and_the_others_stay_below_in_their_order():
    inner = Turned()
    run = WithinBudget(inner, milliseconds=14.0).rerank(candidates(), TOY)
    assert inner.asked == [5]  # 3 + 2 * 5 = 13 ms, six would take 15
    read, left = [f"d{n}" for n in (4, 3, 2, 1, 0)], [f"d{n}" for n in range(5, 20)]
    assert all(run.doc_ids(query_id) == [*read, *left] for query_id in run.rankings)
    assert run.cost.pairs == 15


def test_it_is_measured_once_and_on_so_many_queries(clock):
    reranker = WithinBudget(Turned(), milliseconds=14.0, queries=2)
    reranker.rerank(candidates(), TOY)
    before = list(clock)
    assert before[0] == (20, 2)
    reranker.rerank(candidates(depth=4, queries=1), TOY)
    assert clock == before


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize("milliseconds, asked", [(1000.0, [20]), (4.9, []), (5.0, [1])])
def test_the_most_is_all_and_the_least_is_none(milliseconds, asked):
    inner = Turned()
    run = WithinBudget(inner, milliseconds).rerank(candidates(), TOY)
    assert inner.asked == asked
    if not asked:
        assert run.rankings == candidates().rankings


@pytest.mark.parametrize("per_item", [0.01, 1.0, 7.0])
@pytest.mark.parametrize("start", [0.0, 5.0, 400.0])
@pytest.mark.parametrize("most", [1, 2, 100, 5000])
def test_the_answer_is_affordable_and_near_the_largest_that_is(per_item, start, most):
    budget_ms = 500.0
    exact = min(most, int((budget_ms - start) / per_item))
    tried = []

    def measure(number):
        tried.append(number)
        return start + per_item * number

    found = find_affordable(budget_ms, most, measure)
    assert found <= exact and len(tried) <= budget.MEASUREMENTS
    assert found >= 0.9 * exact - 1 or len(tried) == budget.MEASUREMENTS


def test_a_cost_that_does_not_grow_ends_in_time():
    assert find_affordable(1.0, 1000, lambda _: 0.0) == 1000
    assert find_affordable(1.0, 1000, lambda _: 2.0) == 0
    assert find_affordable(1.0, 0, lambda _: 0.0) == 0


@pytest.mark.usefixtures("clock")
def test_kept_scores_do_not_shorten_what_is_measured(monkeypatch):
    off = []

    class Off:
        def __enter__(self):
            off.append("off")

        def __exit__(self, *_):
            off.append("on")

    monkeypatch.setattr(budget, "turn_caches_off", Off)
    WithinBudget(Turned(), milliseconds=14.0).rerank(candidates(), TOY)
    assert off == ["off", "on"]


def test_no_time_is_refused():
    with pytest.raises(InputError, match="milliseconds must be positive, got 0"):
        WithinBudget(Turned(), milliseconds=0.0)
