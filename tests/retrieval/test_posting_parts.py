"""An index built in parts has the scores of one built at once, and never counts a part again."""

import tempfile
from functools import partial
from pathlib import Path

import bm25s
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recross.collections.collection import Collection
from recross.retrieval import posting_parts, posting_search
from recross.retrieval.bm25 import BM25, choose_bm25_weights
from recross.retrieval.posting_parts import NumberedTerms, write_posting_parts
from recross.retrieval.posting_search import PostingIndex
from recross.store import Store

WORDS = [f"w{number}" for number in range(12)]


def split(texts):
    known = {}
    numbered = [[known.setdefault(word, len(known)) for word in text.split()] for text in texts]
    return NumberedTerms(numbered, known)


def build(folder, documents, method="lucene"):
    texts = {f"d{number}": " ".join(words) for number, words in enumerate(documents)}
    weights = partial(choose_bm25_weights, method, 1.5, 0.75)

    def make(path):
        return write_posting_parts(path, texts, split, weights)

    return PostingIndex.open(Store(folder).artefact("bm25", {"x": 1}, make, resumable=True))


@settings(max_examples=30, deadline=None)  # every example writes files
@given(
    documents=st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=9), min_size=2),
    queries=st.lists(st.lists(st.sampled_from([*WORDS, "never"]), max_size=12), min_size=1),
    depth=st.integers(1, 12),
    method=st.sampled_from(["lucene", "robertson", "atire", "bm25+", "bm25l"]),
    sizes=st.sampled_from([(1, 1, 1), (3, 2, 2), (1000, 1000, 1000)]),
)
def test_scores_are_those_of_bm25s_to_the_last_bit(documents, queries, depth, method, sizes):
    reference = bm25s.BM25(method=method, k1=1.5, b=0.75)
    reference.index(documents, show_progress=False)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda _: None)
        patch.setattr(posting_parts, "DOCUMENTS_PER_PART", sizes[0])
        patch.setattr(posting_parts, "DOCUMENTS_AT_ONCE", sizes[1])
        patch.setattr(posting_search, "_QUERIES_AT_ONCE", sizes[2])
        index = build(Path(folder), documents, method)
        found = list(index.search(queries, depth))
    for query, (rows, scores) in zip(queries, found, strict=True):
        every = reference.get_scores(query) if query else np.zeros(len(documents), np.float32)
        shares = np.array([bool(set(query) & set(document)) for document in documents])
        possible = np.where(shares & (every > 0), every, 0)
        lowest = np.sort(possible)[::-1][:depth][-1]
        expected = np.flatnonzero((possible >= lowest) & (possible > 0))
        assert sorted(rows.tolist()) == expected.tolist()
        assert (scores == every[rows]).all()


DOCUMENTS = {f"d{n}": f"cat {'dog ' * (n % 3)} bird{n % 5} fish{n}" for n in range(23)}
COLLECTION = Collection("x", DOCUMENTS, {"q": "dog fish7 bird4"}, {"test": ["q"]}, {}, "x")


def retrieve(store):
    return BM25(store=store).retrieve(COLLECTION, ["q"], 9)


def test_parts_give_the_run_of_the_whole(tmp_path, monkeypatch):
    whole = retrieve(tmp_path / "whole")
    monkeypatch.setattr(posting_parts, "DOCUMENTS_PER_PART", 4)
    assert retrieve(tmp_path / "parts") == whole
    assert len(whole.doc_ids("q")) == 9


@pytest.mark.parametrize("death", ["d3", "d9", "d22"])
def test_a_part_that_was_counted_is_never_counted_again(tmp_path, monkeypatch, death):
    monkeypatch.setattr(posting_parts, "DOCUMENTS_PER_PART", 4)
    seen: list[str] = []

    def die(self, texts, split=BM25.split):
        if DOCUMENTS[death] in texts:
            raise KeyboardInterrupt
        seen.extend(texts)
        return split(self, texts)

    with monkeypatch.context() as once:
        once.setattr(BM25, "split", die)
        with pytest.raises(KeyboardInterrupt):
            retrieve(tmp_path)
    again: list[str] = []

    def note(self, texts, split=BM25.split):
        again.extend(texts)
        return split(self, texts)

    monkeypatch.setattr(BM25, "split", note)
    found = retrieve(tmp_path)
    assert [*seen, *again] == [*DOCUMENTS.values(), "dog fish7 bird4"]
    assert len(seen) == int(death[1:]) // 4 * 4
    assert found == retrieve(tmp_path / "straight")


def test_a_damaged_part_is_counted_again_and_said(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(posting_parts, "DOCUMENTS_PER_PART", 10)
    with monkeypatch.context() as once:
        once.setattr(posting_parts, "_weigh_part", None)
        with pytest.raises(TypeError):
            retrieve(tmp_path)
    (damaged,) = (tmp_path / "bm25").glob(".*partial/part_00001/counts.npy")
    damaged.write_bytes(b"x" * damaged.stat().st_size)
    found = retrieve(tmp_path)
    assert "counted again" in caplog.text
    assert found == retrieve(tmp_path / "straight")
