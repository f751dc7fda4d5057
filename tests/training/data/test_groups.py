"""Groups of a positive and its negatives, and what must not stand in them."""

import logging
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recross.collections.collection import Collection
from recross.errors import InputError
from recross.negatives.ranked import RankWindow
from recross.retrieval.random_order import RandomOrder
from recross.store import Store
from recross.training.data import leaks as leaks_module
from recross.training.data.groups import make_groups
from recross.training.data.leaks import Leaks, find_leaks, find_near_duplicates
from tests.conftest import Ranking

SOURCE = RandomOrder()


@pytest.fixture
def groups_of(tmp_path):
    def make(collection, seed=0, **more):
        sampler = RankWindow(SOURCE, depth=40)
        mined = sampler.mine(collection, "train", Store(tmp_path / "store"))
        return make_groups(mined, collection, "train", 5, seed, **more)

    return make


def test_a_group_is_a_positive_with_negatives_of_its_query(collection, groups_of):
    made = groups_of(collection)
    assert [group.query_id for group in made.groups] == list(collection.query_ids("train"))
    for group in made.groups:
        assert group.labels == (1.0, 0.0, 0.0, 0.0, 0.0, 0.0)
        assert group.doc_ids[0] in collection.relevant("train", group.query_id)
        assert not set(group.doc_ids[1:]) & collection.relevant("train", group.query_id)


def test_negatives_do_not_depend_on_the_order_queries_are_visited(collection, groups_of):
    backwards = tuple(reversed(collection.query_ids("train")))
    turned = replace(
        collection,
        split_queries={**collection.split_queries, "train": backwards},
        fingerprint="turned",
    )
    forward = {group.query_id: group for group in groups_of(collection).groups}
    assert {group.query_id: group for group in groups_of(turned).groups} == forward


def test_another_seed_draws_others_from_the_same_pool(collection, groups_of):
    first, second = groups_of(collection, seed=0), groups_of(collection, seed=1)
    assert first.groups != second.groups
    assert first.mined == second.mined


def test_a_training_query_that_is_also_asked_in_evaluation_is_left_out(collection, groups_of):
    test_query, train_query = collection.query_ids("test")[0], collection.query_ids("train")[0]
    leaky = replace(
        collection,
        queries={**collection.queries, train_query: collection.queries[test_query].upper() + " "},
    )
    leaks = find_leaks(leaky, "train", ("dev", "test"))
    assert leaks.queries == {train_query}
    made = groups_of(leaky, leaks=leaks)
    assert made.left_out["in_evaluation_split"] == 1
    assert train_query not in {group.query_id for group in made.groups}


def test_queries_without_a_positive_are_counted(collection, groups_of):
    judged = dict(collection.qrels("train"))
    judged["q2"] = {"d2": 0}
    poorer = replace(collection, split_qrels={**collection.split_qrels, "train": judged})
    made = groups_of(poorer)
    assert made.left_out["without_positive"] == 1
    assert made.mined["queries"] == len(collection.query_ids("train")) - 1


def test_nothing_to_train_on_is_refused(collection, groups_of):
    nothing = replace(collection, split_qrels={**collection.split_qrels, "train": {}})
    with pytest.raises(
        InputError, match="split 'train' must hold queries with a relevant document"
    ):
        groups_of(nothing)


def test_a_positive_below_the_cut_gets_the_lowest_first_stage_score(collection, tmp_path):
    query_id = collection.query_ids("train")[0]
    (positive,) = collection.relevant("train", query_id)
    others = [d for d in collection.documents if d != positive][:4]
    ranking = {d: 1.0 - n / 10 for n, d in enumerate(others)}
    sampler = RankWindow(Ranking({query_id: ranking}), depth=4)
    mined = sampler.mine(collection, "train", Store(tmp_path))
    made = make_groups(mined, collection, "train", 4, 0)
    (group,) = made.groups
    assert group.first_stage_scores[0] == pytest.approx(0.7)
    assert sorted(group.first_stage_scores[1:]) == pytest.approx([0.7, 0.8, 0.9, 1.0])
    assert made.left_out["without_negatives"] == len(collection.query_ids("train")) - 1


def asked(train, test, relevant=()):
    """A collection of queries alone; ``relevant`` are (split, query, document)."""
    queries = {f"a{n}": text for n, text in enumerate(train)}
    queries |= {f"b{n}": text for n, text in enumerate(test)}
    qrels = {"train": {}, "test": {}}
    for split, query_id, doc_id in relevant:
        qrels[split].setdefault(query_id, {})[doc_id] = 1
    splits = {
        name: [q for q in queries if q[0] == c] for name, c in (("train", "a"), ("test", "b"))
    }
    return Collection("asked", {"d": "x", "e": "y"}, queries, splits, qrels, "asked")


def test_relevant_documents_that_training_shares_with_evaluation_are_counted_once():
    relevant = [
        ("train", "a0", "d"),
        ("train", "a1", "d"),
        ("train", "a1", "e"),
        ("test", "b0", "d"),
    ]
    leaks = find_leaks(asked(["one", "two"], ["three"], relevant), "train", ("test",))
    assert leaks == Leaks(shared_positives=1)
    leaks.check("leave_out")
    with pytest.raises(InputError, match="got 'refuse' with 0 queries and 1 documents"):
        leaks.check("refuse")
    Leaks(near_duplicates=3).check("refuse")


def test_documents_of_queries_that_are_left_out_are_not_counted_again():
    relevant = [("train", "a0", "d"), ("test", "b0", "d")]
    leaks = find_leaks(asked(["Same  query"], ["same query"], relevant), "train", ("test",))
    assert leaks == Leaks(queries=frozenset({"a0"}))
    with pytest.raises(InputError, match="got 'refuse' with 1 queries and 0 documents"):
        leaks.check("refuse")


def test_queries_that_nearly_equal_an_evaluation_query_are_counted_and_one_is_shown(caplog):
    train = ["how to open a file", "open a file how to?", "how to close a file", "to open a file"]
    with caplog.at_level(logging.WARNING):
        leaks = find_leaks(asked(train, ["How to open a file!"]), "train", ("test",))
    # Jaccard of word sets: 5/5 twice, 4/6, and 4/5, which is the threshold itself.
    assert leaks == Leaks(near_duplicates=3)
    (message,) = caplog.messages
    assert "3 train queries nearly equal evaluation queries" in message
    assert "'how to open a file' and 'How to open a file!'" in message


WORDS = st.lists(st.sampled_from("abcdefghij"), max_size=8).map(" ".join)


@given(st.lists(WORDS, max_size=6), st.lists(WORDS, max_size=6))
def test_the_index_finds_what_comparing_all_pairs_finds(texts, others):
    def near(one, other):
        one, other = set(one.split()), set(other.split())
        return bool(one | other) and len(one & other) / len(one | other) >= 0.8

    texts, others = (dict(enumerate(given)) for given in (texts, others))
    found = dict(find_near_duplicates(texts, others))
    assert set(found) == {n for n, t in texts.items() if any(near(t, o) for o in others.values())}
    assert all(near(texts[one], others[other]) for one, other in found.items())


def test_near_duplicates_are_found_by_few_comparisons(monkeypatch):
    compared = 0
    is_near = leaks_module._is_near

    def counting(one, other):
        nonlocal compared
        compared += 1
        return is_near(one, other)

    monkeypatch.setattr(leaks_module, "_is_near", counting)
    rng = np.random.default_rng(0)
    frequent = 1 / np.arange(1, 20_001)  # words are used as in a language (Zipf)
    words = rng.choice(20_000, size=(22_000, 6), p=frequent / frequent.sum())
    texts = [" ".join(f"w{word}" for word in row) for row in words]
    training, evaluation = texts[:20_000], texts[20_000:]
    training[5] = " ".join(reversed(evaluation[7].split()))
    found = dict(find_near_duplicates(dict(enumerate(training)), dict(enumerate(evaluation))))
    assert compared < 20_000 * 2_000 / 100
    assert set(evaluation[found[5]].split()) == set(evaluation[7].split())
