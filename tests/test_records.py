import pickle
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recross.errors import InputError
from recross.records import Cost, Ranking, ScoredDoc, TrainingGroup, relevant_documents


def test_costs_of_stages_add_up():
    total = Cost(pairs=2, forward_seconds=0.5) + Cost(pairs=3, cut_tokens=7)
    assert (total.pairs, total.forward_seconds, total.cut_tokens) == (5, 0.5, 7)


SCORES = st.dictionaries(
    st.text(min_size=1), st.floats(-(2.0**100), 2.0**100, width=32), min_size=1, max_size=20
)


@given(SCORES, st.integers(-25, 25), st.integers(-25, 25))
def test_a_ranking_is_what_a_tuple_of_scored_documents_is(scores, start, stop):
    ranking = Ranking.of_scores("q", scores)
    expected = tuple(
        sorted(map(ScoredDoc, scores, scores.values()), key=lambda doc: doc[::-1], reverse=True)
    )
    assert ranking == expected
    assert expected == ranking
    assert hash(ranking) == hash(expected)
    assert ranking[start:stop] == expected[start:stop]
    assert ranking[-1] == expected[-1]
    assert type(ranking[0].score) is float
    assert dict(ranking) == dict(expected)
    assert ranking != expected[1:]
    assert ranking != "other"
    assert Ranking.of(expected) == pickle.loads(pickle.dumps(ranking)) == ranking


@pytest.mark.parametrize("score", [float("nan"), float("-inf"), 1e39])
def test_a_score_that_single_precision_cannot_hold_is_refused(score):
    with pytest.raises(InputError, match=r"^score must be finite, got (nan|-?inf) for 'q', 'b'$"):
        Ranking.of_scores("q", {"a": 1.0, "b": score})


def test_many_rankings_of_the_same_documents_take_little_memory():
    numbers = np.arange(1000, dtype=np.float64)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    kept = [
        Ranking.of_scores("q", {f"doc{n}": score for n, score in enumerate(numbers.tolist())})
        for _ in range(100)
    ]
    held = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert held < 100 * 1000 * 12 + 1000 * 200 + 100 * 500
    assert len(kept) == 100


def test_a_group_has_one_label_per_document():
    with pytest.raises(InputError, match=r"labels must hold one value per document \(2\), got 1"):
        TrainingGroup("q1", ("d1", "d2"), (1.0,))


def test_relevance_begins_at_the_grade_asked_for():
    assert relevant_documents({"d1": 1, "d2": 2, "d3": 0}, 2) == {"d2"}
