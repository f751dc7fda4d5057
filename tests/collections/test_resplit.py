"""Splits that are made: which queries they hold, and that their texts are indexed once."""

from dataclasses import dataclass, replace

import pytest

from recross.collections.resplit import Folds, HeldOut
from recross.errors import InputError
from recross.retrieval.bm25 import BM25
from recross.retrieval.retriever import retrieve_once
from recross.store import Store
from tests.conftest import toy_collection


@dataclass(frozen=True)
class Toy:
    without: str = "dev"

    def load(self):
        whole = toy_collection()
        return replace(
            whole,
            split_queries={s: own for s, own in whole.split_queries.items() if s != self.without},
            split_qrels={s: own for s, own in whole.split_qrels.items() if s != self.without},
        )


def test_held_out_queries_leave_the_training_split_with_their_judgments():
    whole, found = Toy().load(), HeldOut(Toy(), dev_share=0.25).load()
    before = list(whole.query_ids("train"))
    assert sorted([*found.query_ids("train"), *found.query_ids("dev")]) == sorted(before)
    assert len(found.query_ids("dev")) == round(0.25 * len(before))
    for split in ("train", "dev"):
        assert found.qrels(split) == {q: whole.qrels("train")[q] for q in found.query_ids(split)}
        assert [q for q in before if q in found.query_ids(split)] == list(found.query_ids(split))
    assert found.qrels("test") == whole.qrels("test")
    other = HeldOut(Toy(), dev_share=0.25, seed=1).load()
    assert other.query_ids("dev") != found.query_ids("dev")
    assert other.fingerprint != found.fingerprint
    assert other.texts_fingerprint == found.texts_fingerprint == whole.fingerprint


def test_over_all_folds_each_query_is_tested_once_and_never_learned_from_where_it_is():
    query_ids = Toy().load().query_ids("train")
    folds = [Folds(Toy(), fold, folds=4, split="train").load() for fold in range(4)]
    tested = [q for fold in folds for q in fold.query_ids("test")]
    assert sorted(tested) == sorted(query_ids)
    assert len({fold.fingerprint for fold in folds}) == 4
    for fold in folds:
        splits = [set(fold.query_ids(split)) for split in ("train", "dev", "test")]
        assert set.union(*splits) == set(query_ids)
        assert sum(map(len, splits)) == len(query_ids)
        assert set(fold.split_queries) == {"train", "dev", "test"}


def test_judgments_to_learn_from_may_be_another_splits():
    @dataclass(frozen=True)
    class TwoOpinions:
        def load(self):
            whole = toy_collection()
            other = {q: {"d1": 3} for q in whole.query_ids("train")}
            return replace(whole, split_qrels={**whole.split_qrels, "other": other})

    found = Folds(TwoOpinions(), split="train", learn_from="other").load()
    assert all(judged == {"d1": 3} for judged in found.qrels("train").values())
    whole = toy_collection()
    assert found.qrels("test") == {q: whole.qrels("train")[q] for q in found.query_ids("test")}


@dataclass(frozen=True)
class Graded:
    """Training judged from grade 1, testing from grade 2."""

    def load(self):
        return replace(Toy().load(), relevant_from={"test": 2})


def test_a_made_split_counts_the_grades_of_the_one_it_comes_from():
    held_out = HeldOut(Graded()).load()
    assert [held_out.relevant_grade(s) for s in ("train", "dev", "test")] == [1, 1, 2]
    folds = Folds(Graded(), split="test", learn_from="train").load()
    assert [folds.relevant_grade(s) for s in ("train", "dev", "test")] == [1, 2, 2]


def test_an_index_is_made_once_for_all_folds(tmp_path):
    store, bm25 = Store(tmp_path), BM25(store=tmp_path)
    for fold in range(3):
        found = Folds(Toy(), fold, split="train").load()
        retrieve_once(bm25, found, found.query_ids("test"), 5, store)
    assert len(list((tmp_path / "bm25").glob("*/manifest.json"))) == 1
    assert len(list((tmp_path / "runs").glob("*/manifest.json"))) == 3


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: HeldOut(Toy(), dev_share=1.0), r"dev_share must lie in \(0, 1\), got 1.0"),
        (lambda: Folds(Toy(), folds=1), "folds must be at least 2, got 1"),
        (lambda: Folds(Toy(), fold=5), r"fold must lie in \[0, folds=5\), got 5"),
        (lambda: HeldOut(Toy("none")).load(), "must have no split 'dev', got 'toy'"),
        (lambda: HeldOut(Toy(), split="oops").load(), "has the splits train, test, got 'oops'"),
    ],
)
def test_what_cannot_be_split_is_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()
