from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recross.errors import InputError
from recross.negatives.ranked import RankWindow
from recross.records import ScoredDoc
from recross.retrieval.random_order import RandomOrder
from recross.runs import Run
from recross.seeding import generator
from recross.training.groups import make_groups

SOURCE = RandomOrder()


@given(st.integers(0, 30), st.integers(1, 30), st.sets(st.integers(0, 59)), st.integers(1, 40))
def test_negatives_are_distinct_come_from_the_window_and_are_never_relevant(
    skip, width, relevant, size
):
    candidates = [ScoredDoc(f"d{rank}", -float(rank)) for rank in range(60)]
    sampler = RankWindow(SOURCE, depth=skip + width, skip=skip)
    forbidden = frozenset(f"d{n}" for n in relevant)
    drawn = sampler.sample(candidates, forbidden, size, generator(0, "negatives", "q1"))
    allowed = {f"d{n}" for n in range(skip, min(skip + width, 60))} - forbidden
    assert set(drawn) <= allowed
    assert len(drawn) == len(set(drawn)) == min(size, len(allowed))


def test_the_window_must_hold_something():
    with pytest.raises(InputError, match=r"skip must lie in \[0, depth=5\), got 5"):
        RankWindow(SOURCE, depth=5, skip=5)


def groups_of(collection, seed=0, **more):
    candidates = SOURCE.retrieve(collection, collection.query_ids("train"), 40)
    sampler = RankWindow(SOURCE, depth=40)
    return make_groups(candidates, collection, "train", sampler, 5, seed, **more)


def test_a_group_is_a_positive_with_negatives_of_its_query(collection):
    made = groups_of(collection)
    assert [group.query_id for group in made.groups] == list(collection.query_ids("train"))
    for group in made.groups:
        assert group.labels == (1.0, 0.0, 0.0, 0.0, 0.0, 0.0)
        assert group.doc_ids[0] in collection.relevant("train", group.query_id)
        assert not set(group.doc_ids[1:]) & collection.relevant("train", group.query_id)


def test_negatives_do_not_depend_on_the_order_queries_are_visited(collection):
    backwards = tuple(reversed(collection.query_ids("train")))
    turned = replace(collection, split_queries={**collection.split_queries, "train": backwards})
    forward = {group.query_id: group for group in groups_of(collection).groups}
    assert {group.query_id: group for group in groups_of(turned).groups} == forward


def test_another_seed_draws_others(collection):
    assert groups_of(collection, seed=0).groups != groups_of(collection, seed=1).groups


def test_a_training_query_that_is_also_asked_in_evaluation_is_left_out(collection):
    test_query, train_query = collection.query_ids("test")[0], collection.query_ids("train")[0]
    leaky = replace(
        collection,
        queries={**collection.queries, train_query: collection.queries[test_query].upper() + " "},
    )
    made = groups_of(leaky, evaluation_splits=("dev", "test"))
    assert made.left_out["in_evaluation_split"] == 1
    assert train_query not in {group.query_id for group in made.groups}


def test_queries_without_a_positive_are_counted(collection):
    judged = dict(collection.qrels("train"))
    judged["q2"] = {"d2": 0}
    poorer = replace(collection, split_qrels={**collection.split_qrels, "train": judged})
    assert groups_of(poorer).left_out["without_positive"] == 1


def test_nothing_to_train_on_is_refused(collection):
    nothing = replace(collection, split_qrels={**collection.split_qrels, "train": {}})
    with pytest.raises(
        InputError, match="split 'train' must hold queries with a relevant document"
    ):
        groups_of(nothing)


def test_a_positive_below_the_cut_gets_the_lowest_first_stage_score(collection):
    query_id = collection.query_ids("train")[0]
    (positive,) = collection.relevant("train", query_id)
    others = [d for d in collection.documents if d != positive][:4]
    ranking = {d: 1.0 - n / 10 for n, d in enumerate(others)}
    run = Run.from_scores("first", dict.fromkeys(collection.query_ids("train"), ranking))
    made = make_groups(run, collection, "train", RankWindow(SOURCE, depth=4), 4, 0)
    first = next(group for group in made.groups if group.query_id == query_id)
    assert first.first_stage_scores[0] == pytest.approx(0.7)
