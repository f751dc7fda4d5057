"""Synthetic collections: what a seed fixes, and that their queries can be answered."""

import pytest

from recross.collections import stored_documents
from recross.collections.synthetic import Synthetic
from recross.errors import InputError
from recross.evaluation.measures import evaluate
from recross.retrieval.bm25 import BM25

QUERIES = {"train": 20, "test": 60}


def load(store, **settings):
    return Synthetic(**{"size": 1500, "queries": QUERIES, "store": store, **settings}).load()


def test_all_follows_from_the_seed(tmp_path):
    first, again = load(tmp_path / "a"), load(tmp_path / "b")
    assert list(first.documents.items()) == list(again.documents.items())
    assert (first.queries, first.split_qrels) == (again.queries, again.split_qrels)
    assert first.fingerprint == again.fingerprint
    other = load(tmp_path / "a", seed=1)
    assert other.documents["d0"] != first.documents["d0"]
    assert other.fingerprint != first.fingerprint


def test_a_smaller_collection_is_the_beginning_of_a_larger_one(tmp_path):
    larger, smaller = load(tmp_path), load(tmp_path, size=1100)
    assert len(smaller.documents) == 1100
    assert list(smaller.documents.items()) == list(larger.documents.items())[:1100]


def test_an_interrupted_writing_gives_the_same_documents(tmp_path, monkeypatch):
    monkeypatch.setattr(stored_documents, "DOCUMENTS_PER_WRITE", 700)
    source = Synthetic(size=1500, queries=QUERIES, store=tmp_path / "a")
    with monkeypatch.context() as once:
        once.setattr(stored_documents, "pack_strings", die_at_call(3))
        with pytest.raises(KeyboardInterrupt):
            source.load()
    assert list(source.load().documents.items()) == list(load(tmp_path / "b").documents.items())


def die_at_call(number):
    """``pack_strings`` until then; it is called twice for each part."""
    calls = iter(range(1, number))

    def pack(name, strings, pack_strings=stored_documents.pack_strings):
        if next(calls, None) is None:
            raise KeyboardInterrupt
        return pack_strings(name, strings)

    return pack


def test_every_query_has_one_relevant_document_that_holds_its_words(tmp_path):
    collection = load(tmp_path)
    assert {split: len(collection.query_ids(split)) for split in QUERIES} == QUERIES
    asked = set()
    for split in QUERIES:
        for query_id, judged in collection.qrels(split).items():
            (doc_id,) = judged
            asked.add(doc_id)
            words = set(collection.documents[doc_id].replace(".", "").split())
            assert set(collection.queries[query_id].split()) <= words
    assert len(asked) == sum(QUERIES.values())  # no document is asked for twice


def test_lexical_retrieval_finds_most_of_what_is_asked_for(tmp_path):
    collection = load(tmp_path)
    run = BM25(store=tmp_path).retrieve(collection, collection.query_ids("test"), 10)
    assert 0.7 < evaluate(run, collection.qrels("test"), ["R@10"]).mean["R@10"] <= 1


def test_more_queries_than_documents_are_refused(tmp_path):
    with pytest.raises(InputError, match="queries must be at most as many as documents"):
        load(tmp_path, size=79)
