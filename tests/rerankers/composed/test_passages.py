"""Passages by hand and against a slow reference; the scores are drawn from the texts."""

from dataclasses import dataclass, field, replace
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recross.errors import InputError
from recross.records import Cost
from recross.rerankers.baselines import FirstStage
from recross.rerankers.composed.cascade import Cascade, Stage
from recross.rerankers.composed.passages import LongDocuments
from recross.rerankers.cross_encoder import CrossEncoder
from recross.rerankers.reranker import Reranker, Trainable
from recross.runs import Run
from tests.conftest import toy_collection

TOY = toy_collection()
QUERIES = {"q1": "one", "q2": "two"}


def drawn(query, text):
    return crc32(f"{query}|{' '.join(text.split())}".encode()) % 4096 / 64 - 32


@dataclass(frozen=True)
class Texts(Reranker):
    """Scores drawn from query and text; what it read is remembered."""

    read: list = field(default_factory=list, compare=False)
    collections: list = field(default_factory=list, compare=False)

    def rerank(self, candidates, collection):
        self.collections.append(collection)
        scores = {}
        for query_id, ranking in candidates.rankings.items():
            texts = {d.doc_id: collection.documents[d.doc_id] for d in ranking}
            self.read.extend((query_id, text) for text in texts.values())
            scores[query_id] = {
                d: drawn(collection.queries[query_id], text) for d, text in texts.items()
            }
        cost = Cost(pairs=len(self.read), cut_documents=1, total_seconds=99.0)
        return Run.from_scores("texts", scores, cost)


@dataclass(frozen=True)
class Digits(Reranker):
    """The score of a passage is the number that is its first word."""

    def rerank(self, candidates, collection):
        scores = {
            q: {d.doc_id: float(collection.documents[d.doc_id].split()[0]) for d in ranking}
            for q, ranking in candidates.rankings.items()
        }
        pairs = sum(map(len, candidates.rankings.values()))
        return Run.from_scores("digits", scores, Cost(pairs=pairs))


def collection_of(documents):
    return replace(TOY, documents=documents, queries=QUERIES)


def first_stage(*doc_ids):
    return Run.from_scores("first", {"q1": {d: 9.0 - n for n, d in enumerate(doc_ids)}})


NUMBERS = collection_of({"long": "1 7 3 5 2", "other": "4 9", "short": " 6 "})


@pytest.mark.parametrize(
    "pooling, top, expected, pairs",
    [
        ("max", 3, {"long": 7.0, "other": 4.0, "short": 6.0}, 6),
        ("first", 3, {"long": 1.0, "other": 4.0, "short": 6.0}, 3),
        ("mean_top", 2, {"long": 6.0, "other": 4.0, "short": 6.0}, 6),
        ("mean_top", 3, {"long": 5.0, "other": 4.0, "short": 6.0}, 6),
        ("mean_top", 9, {"long": 4.0, "other": 4.0, "short": 6.0}, 6),
    ],
)
def test_pooling_by_hand(pooling, top, expected, pairs):
    reranker = LongDocuments(Digits(), words=2, stride=1, pooling=pooling, top=top)
    run = reranker.rerank(first_stage("long", "other", "short"), NUMBERS)
    assert dict(run.rankings["q1"]) == expected  # of long: 1 7, 7 3, 3 5, 5 2
    assert run.cost.pairs == pairs
    assert run.cost.cut_documents == (1 if pooling == "first" else 0)
    assert run.name == f"digits-{pooling}"


def test_only_the_first_passages_are_read_and_the_cut_is_counted():
    inner = Texts()
    reranker = LongDocuments(inner, words=2, stride=1, max_passages=2, alias="two")
    run = reranker.rerank(first_stage("long", "other"), NUMBERS)
    assert sorted(inner.read) == [("q1", "1 7"), ("q1", "4 9"), ("q1", "7 3")]
    assert (run.name, run.cost.pairs) == ("two", 3)
    assert run.cost.cut_documents == 2  # one by the inner limit, one here
    assert run.cost.total_seconds < 99.0


def test_spaces_within_a_passage_are_those_of_the_document():
    inner = Texts()
    text = "  a\n\nb\tc   d e "
    documents = collection_of({"d": text, "one": "\n x  y ", "none": ""})
    LongDocuments(inner, words=3, stride=2).rerank(first_stage("d", "one", "none"), documents)
    assert {read for _, read in inner.read} == {"a\n\nb\tc", "c   d e", "\n x  y ", ""}


def test_identifiers_may_hold_the_separator():
    documents = {"a": "1 2 3", "a#0": "9 8", "a#0#1": "5 4", "#": "7", "": "3"}
    reranker = LongDocuments(Digits(), words=1, stride=1)
    run = reranker.rerank(first_stage(*documents), collection_of(documents))
    assert dict(run.rankings["q1"]) == {"a": 3.0, "a#0": 9.0, "a#0#1": 5.0, "#": 7.0, "": 3.0}


def slow_reference(query, text, words, stride, pooling, top, limit):
    """One document's score, window by window."""
    parts = text.split()
    passages, start = [], 0
    while True:
        passages.append(" ".join(parts[start : start + words]))
        if start + words >= len(parts):
            break
        start += stride
    if pooling == "first":
        return drawn(query, passages[0])
    scores = sorted((drawn(query, passage) for passage in passages[:limit]), reverse=True)
    kept = scores[:1] if pooling == "max" else scores[:top]
    return sum(kept) / len(kept)


DOCUMENTS = st.dictionaries(
    st.text("d#1", max_size=3),
    st.lists(st.sampled_from("abc"), max_size=20).map(" ".join),
    min_size=1,
    max_size=5,
)


@given(DOCUMENTS, st.data())
def test_pooled_scores_are_those_of_a_slow_reference(documents, data):
    words = data.draw(st.integers(1, 8))
    stride = data.draw(st.integers(1, words))
    pooling = data.draw(st.sampled_from(["max", "first", "mean_top"]))
    top, limit = data.draw(st.integers(1, 4)), data.draw(st.none() | st.integers(1, 4))
    listed = st.lists(st.sampled_from(sorted(documents)), unique=True)
    given_ids = {query_id: data.draw(listed) for query_id in QUERIES}
    candidates = Run.from_scores(
        "first", {q: {d: float(n) for n, d in enumerate(ids)} for q, ids in given_ids.items()}
    )
    reranker = LongDocuments(Texts(), words, stride, pooling, top, limit)
    run = reranker.rerank(candidates, collection_of(documents))
    assert {q: dict(r) for q, r in run.rankings.items()} == {
        query_id: pytest.approx(
            {
                d: slow_reference(
                    QUERIES[query_id], documents[d], words, stride, pooling, top, limit
                )
                for d in ids
            }
        )
        for query_id, ids in given_ids.items()
    }


@pytest.mark.parametrize("pooling", ["max", "first", "mean_top"])
def test_documents_of_one_passage_are_scored_as_without_passages(pooling, tiny_bert):
    plain = CrossEncoder(str(tiny_bert), max_length=64)
    scores = {"q0": {f"d{n}": float(n) for n in range(20)}, "q5": {"d3": 1.0}, "q6": {}}
    candidates = Run.from_scores("first", scores)
    pooled = LongDocuments(plain, pooling=pooling).rerank(candidates, TOY)
    alone = plain.rerank(candidates, TOY)
    assert pooled.rankings == alone.rankings
    assert (pooled.cost.pairs, pooled.cost.tokens) == (alone.cost.pairs, alone.cost.tokens)


def test_every_passage_comes_with_its_documents_score():
    run = LongDocuments(FirstStage(), words=1, stride=1).rerank(
        first_stage("long", "other"), NUMBERS
    )
    assert dict(run.rankings["q1"]) == {"long": 9.0, "other": 8.0}


def test_a_passage_collection_is_not_taken_for_its_documents_nor_for_another():
    inner = Texts()
    for words, stride, doc_id in ((2, 2, "long"), (3, 1, "long"), (2, 2, "other"), (2, 2, "long")):
        LongDocuments(inner, words=words, stride=stride).rerank(first_stage(doc_id), NUMBERS)
    one, wider, other, again = inner.collections
    assert list(one.documents) == list(wider.documents) == ["long#0", "long#1", "long#2"]
    prints = {each.fingerprint for each in (one, wider, other, NUMBERS)}
    assert len(prints) == 4
    assert one.fingerprint == again.fingerprint


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"words": 0}, "words must be at least 1, got 0"),
        ({"top": 0}, "top must be at least 1, got 0"),
        ({"max_passages": 0}, "max_passages must be at least 1, got 0"),
        ({"stride": 0}, r"stride must be at least 1, got 0"),
        ({"words": 10, "stride": 11}, r"stride must lie in \[1, words=10\], got 11"),
    ],
)
def test_bad_windows_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        LongDocuments(FirstStage(), **arguments)


def test_the_inner_network_is_what_is_trained(tiny_bert, tmp_path):
    inner = CrossEncoder(str(tiny_bert))
    reranker = LongDocuments(inner, words=3, stride=3)
    assert isinstance(reranker, Trainable)
    assert reranker.network is inner.network
    inner.network.save(tmp_path / "trained")
    trained = reranker.trained(tmp_path / "trained")
    assert trained == replace(reranker, reranker=trained.reranker)
    assert trained.reranker.checkpoint == str(tmp_path / "trained")


def test_in_the_middle_of_training_passages_go_through_the_engine_at_hand():
    class Networked(Texts, Trainable):
        network = None

        def trained(self, folder):
            return self

        def rerank_with(self, engine, candidates, collection):
            assert engine == "engine"
            return Digits().rerank(candidates, collection)

    reranker = LongDocuments(Networked(), words=2, stride=1)
    run = reranker.rerank_with("engine", first_stage("long", "other"), NUMBERS)
    assert dict(run.rankings["q1"]) == {"long": 7.0, "other": 4.0}


@pytest.mark.parametrize(
    "inner", [FirstStage(), Cascade({"none": Stage(FirstStage(), 3)})], ids=["none", "cascade"]
)
def test_over_a_re_ranker_without_a_network_there_is_none_to_train(inner):
    assert not LongDocuments(inner).can_be_trained
    with pytest.raises(InputError, match="reranker must have a network to train"):
        _ = LongDocuments(inner).network
