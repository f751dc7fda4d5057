"""An index built in parts has the scores of one built at once, and never counts a part again."""

import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import bm25s
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recross.collections.collection import Collection
from recross.collections.document_spans import DocumentSpans
from recross.retrieval import posting_counts, posting_parts, posting_search
from recross.retrieval.bm25 import BM25, choose_bm25_weights
from recross.retrieval.posting_counts import CountedParts, NumberedTerms, count_terms
from recross.retrieval.posting_parts import join_counts
from recross.retrieval.posting_search import PostingIndex
from recross.store import Store

WORDS = [f"w{number}" for number in range(12)]


def split(texts):
    known = {}
    numbered = [[known.setdefault(word, len(known)) for word in text.split()] for text in texts]
    return NumberedTerms(numbered, known)


def build(folder, documents, method="lucene", per_count=1000):
    texts = {f"d{number}": " ".join(words) for number, words in enumerate(documents)}
    spans = DocumentSpans(texts)

    def make(span, path):
        return count_terms(path, spans.read(span), split)

    def join(path):
        return join_counts(path, parts, partial(choose_bm25_weights, method, 1.5, 0.75))

    parts = CountedParts(Store(folder), "bm25", {"x": 1}, len(texts), per_count, make)
    return PostingIndex.open(parts.join(join))


@settings(max_examples=30, deadline=None)  # every example writes files
@given(
    documents=st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=9), min_size=2),
    queries=st.lists(st.lists(st.sampled_from([*WORDS, "never"]), max_size=12), min_size=1),
    depth=st.integers(1, 12),
    method=st.sampled_from(["lucene", "robertson", "atire", "bm25+", "bm25l"]),
    sizes=st.sampled_from([(1, 1, 1), (2, 2, 2), (3, 1, 2), (1000, 1000, 1000)]),
)
def test_scores_are_those_of_bm25s_to_the_last_bit(documents, queries, depth, method, sizes):
    reference = bm25s.BM25(method=method, k1=1.5, b=0.75)
    reference.index(documents, show_progress=False)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda _: None)
        patch.setattr(posting_parts, "COUNTS_PER_PART", sizes[1])
        patch.setattr(posting_search, "_QUERIES_AT_ONCE", sizes[2])
        index = build(Path(folder), documents, method, sizes[0])
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


@pytest.fixture
def small_counts(monkeypatch):
    """Counted parts of four documents, two of which lie together in the index."""
    monkeypatch.setattr(posting_counts, "DOCUMENTS_PER_COUNT", 4)
    monkeypatch.setattr(posting_parts, "COUNTS_PER_PART", 2)


def read_index(store):
    """The bytes of every file of a store's index."""
    (folder,) = (store / "bm25").glob("[!.]*")
    return {
        path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_parts_give_the_run_of_the_whole(tmp_path, monkeypatch):
    whole = retrieve(tmp_path / "whole")
    monkeypatch.setattr(posting_counts, "DOCUMENTS_PER_COUNT", 4)
    monkeypatch.setattr(posting_parts, "COUNTS_PER_PART", 2)
    assert retrieve(tmp_path / "parts") == whole
    assert len(whole.doc_ids("q")) == 9
    assert len(list(tmp_path.glob("parts/bm25/*/part_*"))) == 3


@pytest.mark.parametrize("said", [1, 11, 60])
@pytest.mark.usefixtures("small_counts")
def test_collections_that_do_not_know_how_many_documents_they_hold_are_indexed_whole(
    tmp_path, said
):
    class Nominal(dict):
        def __len__(self):
            return said

    whole = BM25(store=tmp_path / "whole").retrieve(COLLECTION, ["q"], 23)
    collection = replace(COLLECTION, documents=Nominal(DOCUMENTS))
    found = BM25(store=tmp_path / "store").retrieve(collection, ["q"], 23)
    assert found.rankings == whole.rankings
    assert len(found.rankings["q"]) > 11


@pytest.mark.usefixtures("small_counts")
def test_the_index_has_the_same_bytes_in_whichever_order_parts_were_counted(tmp_path):
    retrieve(tmp_path / "alone")
    (parts,) = BM25(store=tmp_path / "shared").document_parts(COLLECTION)
    assert len(parts) == 6
    for number in (5, 2, 3, 0):  # and not all
        assert parts.make_if_free(number)
    retrieve(tmp_path / "shared")
    assert read_index(tmp_path / "shared") == read_index(tmp_path / "alone")
    assert not list(tmp_path.glob("*/bm25_parts/[!.]*"))
    assert all(map(parts.is_finished, range(6)))  # nobody begins again


def test_a_collection_of_one_part_is_not_shared(tmp_path):
    assert BM25(store=tmp_path).document_parts(COLLECTION) == []


@pytest.mark.parametrize("death", ["d3", "d9", "d22"])
@pytest.mark.usefixtures("small_counts")
def test_a_part_that_was_counted_is_never_counted_again(tmp_path, monkeypatch, death):
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


@pytest.mark.usefixtures("small_counts")
def test_an_index_whose_writing_was_interrupted_is_written_again(tmp_path, monkeypatch):
    weigh, calls = posting_parts._weigh_part, []

    def die(*asked):
        calls.append(asked)
        if len(calls) == 2:
            raise KeyboardInterrupt
        weigh(*asked)

    with monkeypatch.context() as once:
        once.setattr(posting_parts, "_weigh_part", die)
        with pytest.raises(KeyboardInterrupt):
            retrieve(tmp_path / "twice")
    (begun,) = (tmp_path / "twice/bm25").glob(".*partial/part_00000/weights.npy")
    begun.write_bytes(b"x")
    assert retrieve(tmp_path / "twice") == retrieve(tmp_path / "once")
    assert read_index(tmp_path / "twice") == read_index(tmp_path / "once")


@pytest.mark.usefixtures("small_counts")
def test_a_damaged_part_is_counted_again_and_said(tmp_path, caplog):
    (parts,) = BM25(store=tmp_path).document_parts(COLLECTION)
    for number in range(6):
        parts.make(number)
    damaged = parts.find(3) / "counted.npz"
    damaged.write_bytes(b"x" * damaged.stat().st_size)
    found = retrieve(tmp_path)
    assert "counted.npz is not what was written; it is made again" in caplog.text
    assert found == retrieve(tmp_path / "straight")
    assert read_index(tmp_path) == read_index(tmp_path / "straight")
