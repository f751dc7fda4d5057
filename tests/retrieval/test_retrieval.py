import math
from dataclasses import dataclass
from pathlib import Path

import pytest

from recross.collections.collection import Collection
from recross.collections.files import BeirFolder
from recross.errors import InputError
from recross.evaluation.measures import evaluate
from recross.machine.hardware import Hardware
from recross.parts.identity import handed_over
from recross.rerankers.baselines import BiEncoderScore, FirstStage, Oracle
from recross.retrieval.approximate_index import HNSW, IVF
from recross.retrieval.biencoder import BiEncoder
from recross.retrieval.bm25 import BM25
from recross.retrieval.fusion import ReciprocalRankFusion, fuse
from recross.retrieval.official import OfficialCandidates
from recross.retrieval.random_order import RandomOrder
from recross.retrieval.retriever import retrieve_once
from recross.retrieval.run_file import RunFile
from recross.retrieval.vector_index import Exact
from recross.runs import Run
from recross.store import Store

EMBEDDED = "embedded:all-minilm-l6-v2"


def small(texts, query):
    return Collection(
        "small", texts, {"q": query}, {"test": ("q",)}, {"test": {"q": {"d1": 1}}}, query
    )


def test_bm25_by_hand(tmp_path):
    texts = {"d1": "cat cat dog", "d2": "dog", "d3": "bird bird bird bird"}
    run = BM25(k1=0.9, b=0.4, store=tmp_path).retrieve(small(texts, "cats"), ["q"], 3)
    average = (3 + 1 + 4) / 3
    idf = math.log(1 + (3 - 1 + 0.5) / (1 + 0.5))
    expected = idf * 2 / (2 + 0.9 * (1 - 0.4 + 0.4 * 3 / average))
    ((doc_id, score),) = run.rankings["q"]  # documents without the term are not returned
    assert doc_id == "d1"
    assert score == pytest.approx(expected, rel=1e-5)


def test_bm25s_index_is_reused_from_the_store(tmp_path, collection):
    first = BM25(store=tmp_path).retrieve(collection, ["q0", "q5"], 5)
    (index,) = [path for path in (tmp_path / "bm25").iterdir() if path.is_dir()]
    stamp = (index / "manifest.json").stat().st_mtime_ns
    assert BM25(store=tmp_path).retrieve(collection, ["q0", "q5"], 5) == first
    assert (index / "manifest.json").stat().st_mtime_ns == stamp
    assert first.doc_ids("q5")[0] == "d5"


@pytest.mark.parametrize(
    "make",
    [
        lambda store: BM25(store=store),
        lambda store: BiEncoder(EMBEDDED, store=store),
        lambda store: BiEncoder(EMBEDDED, store=store, index=HNSW()),
        lambda store: BiEncoder(EMBEDDED, store=store, index=IVF(lists=4, probes=4)),
    ],
    ids=["bm25", "exact", "hnsw", "ivf"],
)
def test_an_index_that_was_damaged_after_it_was_opened_is_made_and_opened_again(
    tmp_path, collection, make
):
    """What is mapped into memory shows the damage, and goes on doing so when the file is gone."""
    queries = [f"q{number}" for number in range(0, 50, 5)]
    whole = make(tmp_path).retrieve(collection, queries, 5)
    for artefact in [path.parent for path in tmp_path.glob("*/[!.]*/manifest.json")]:
        files = [path for path in artefact.rglob("*") if path.is_file()]
        path = max(files, key=lambda file: file.stat().st_size)
        damaged = bytes(byte ^ 64 for byte in path.read_bytes())
        with path.open("r+b") as file:  # in place
            file.write(damaged)
        assert make(tmp_path).retrieve(collection, queries, 5).rankings == whole.rankings
        assert path.read_bytes() != damaged


def test_documents_that_tie_at_the_depth_fall_by_their_id(tmp_path):
    texts = {f"d{number}": "cat" for number in (3, 1, 4, 5, 2)} | {"d0": "dog"}
    run = BM25(store=tmp_path).retrieve(small(texts, "cat"), ["q"], 3)
    assert run.doc_ids("q") == ["d5", "d4", "d3"]


def test_a_query_without_known_terms_finds_nothing(tmp_path):
    run = BM25(store=tmp_path).retrieve(small({"d1": "cat", "d2": "dog"}, "the of"), ["q"], 3)
    assert run.doc_ids("q") == []


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"b": 2.0}, r"b must lie in \[0, 1\], got 2.0"),
        ({"k1": -1.0}, "k1 must not be negative, got -1.0"),
        ({"method": "tfidf"}, "method must be lucene, .* or bm25l, got 'tfidf'"),
        ({"stemmer": "klingon"}, "stemmer must be one of .* got 'klingon'"),
    ],
)
def test_bm25_refuses_bad_arguments(arguments, message):
    with pytest.raises(InputError, match=message):
        BM25(**arguments)


def cosine_run(collection, query_id):
    from sentence_transformers import SentenceTransformer

    from recross.checkpoints.location import locate

    peer = SentenceTransformer(locate(EMBEDDED), device="cpu")
    documents = peer.encode(list(collection.documents.values()), normalize_embeddings=True)
    query = peer.encode([collection.queries[query_id]], normalize_embeddings=True)[0]
    return dict(zip(collection.documents, (documents @ query).tolist(), strict=True))


def test_the_biencoder_ranks_by_the_cosine_of_sentence_transformers(tmp_path, collection):
    encoder = BiEncoder(EMBEDDED, store=tmp_path)
    assert encoder.parameters == 22_713_216  # all-MiniLM-L6-v2
    run = encoder.retrieve(collection, ["q3"], 96)
    expected = cosine_run(collection, "q3")
    found = dict(run.rankings["q3"])
    assert found.keys() == expected.keys()
    assert all(found[doc_id] == pytest.approx(expected[doc_id], abs=1e-4) for doc_id in found)


@pytest.mark.parametrize("index", [HNSW(), IVF(lists=4, probes=4)])
def test_approximate_indexes_searched_wide_agree_with_the_exact_one(tmp_path, collection, index):
    exact = BiEncoder(EMBEDDED, store=tmp_path).retrieve(collection, ["q0", "q1"], 10)
    wide = BiEncoder(EMBEDDED, index, store=tmp_path)
    approximate = wide.retrieve(collection, ["q0", "q1"], 10)
    for query_id in ("q0", "q1"):
        assert len(set(exact.doc_ids(query_id)) & set(approximate.doc_ids(query_id))) >= 9


@pytest.mark.parametrize("index", [HNSW(), IVF(lists=4, probes=4)])
def test_approximate_indexes_keep_the_vectors_as_stored_in_half_precision(
    tmp_path, collection, index
):
    encoder = BiEncoder(EMBEDDED, index, store=tmp_path)
    found = encoder.retrieve(collection, ["q0", "q1"], 10)
    exact = BiEncoderScore(encoder).rerank(found, collection)
    for query_id in ("q0", "q1"):
        assert dict(found.rankings[query_id]) == pytest.approx(
            dict(exact.rankings[query_id]), abs=1e-6
        )
    (file,) = (tmp_path / "faiss").glob("*/index.faiss")
    links = 100_000 if isinstance(index, HNSW) else 20_000
    assert file.stat().st_size < 96 * 384 * 2 + links


def test_a_wider_search_of_an_index_reads_the_same_vectors_and_the_same_index(tmp_path, collection):
    found = []
    for index in (IVF(lists=8, probes=1), IVF(lists=8, probes=8), Exact()):
        encoder = BiEncoder(EMBEDDED, index, store=tmp_path)
        found.append(encoder.retrieve(collection, ["q0", "q1", "q2"], 10))
    narrow, wide, exact = (
        sum(len(set(run.doc_ids(q)) & set(found[-1].doc_ids(q))) for q in ("q0", "q1", "q2"))
        for run in found
    )
    assert narrow < wide == exact == 30
    assert len(list((tmp_path / "vectors").glob("*/manifest.json"))) == 1
    assert len(list((tmp_path / "faiss").glob("*/manifest.json"))) == 1


@pytest.mark.parametrize(
    "kind, arguments, message",
    [
        (HNSW, {"links": 0}, r"links must lie in \[2, 512\], got 0"),
        (IVF, {"probes": 65}, r"probes must lie in \[1, lists=64\], got 65"),
    ],
)
def test_an_index_refuses_bad_arguments(kind, arguments, message):
    with pytest.raises(InputError, match=message):
        kind(**arguments)


def test_the_biencoder_as_reranker_agrees_with_itself_as_retriever(tmp_path, collection):
    encoder = BiEncoder(EMBEDDED, store=tmp_path)
    retrieved = encoder.retrieve(collection, ["q0", "q5"], 20)
    shuffled = Run.from_scores(
        "any",
        {q: {d: float(n % 7) for n, d in enumerate(retrieved.doc_ids(q))} for q in ("q0", "q5")},
    )
    again = BiEncoderScore(encoder).rerank(shuffled, collection)
    for query_id in ("q0", "q5"):
        assert [d.score for d in again.rankings[query_id]] == pytest.approx(
            [d.score for d in retrieved.rankings[query_id]], abs=1e-5
        )


def test_reciprocal_rank_fusion_by_hand():
    one = Run.from_scores("one", {"q": {"a": 3.0, "b": 2.0}})
    two = Run.from_scores("two", {"q": {"b": 9.0, "c": 1.0}})
    fused = dict(fuse([one, two], k=60).rankings["q"])
    assert fused["a"] == pytest.approx(1 / 61)
    assert fused["b"] == pytest.approx(1 / 62 + 1 / 61)
    assert fused["c"] == pytest.approx(1 / 62)


def test_fusion_needs_two_and_keeps_the_depth(collection):
    with pytest.raises(InputError, match="retrievers must hold at least two, got 1"):
        ReciprocalRankFusion({"only": RandomOrder()})
    both = ReciprocalRankFusion({"one": RandomOrder(0), "other": RandomOrder(1)})
    fused = both.retrieve(collection, ["q0"], 7)
    assert len(fused.rankings["q0"]) == 7


def test_a_run_file_serves_as_first_stage(tmp_path, collection):
    Run.from_scores("x", {"q0": {"d1": 1.0, "d0": 2.0, "d2": 0.0}}).write(tmp_path / "x.trec")
    run = RunFile(tmp_path / "x.trec").retrieve(collection, ["q0", "q5"], 2)
    assert run.doc_ids("q0") == ["d0", "d1"]
    assert run.doc_ids("q5") == []


@pytest.mark.parametrize(
    "scores, message",
    [
        ({"q0": {"zzz": 1.0}}, r"must name documents of 'toy', got 'zzz' \(1 unknown of 1\)"),
        ({"other": {"d0": 1.0}}, "must rank documents for the queries of 'toy'"),
    ],
)
def test_a_run_that_does_not_fit_the_collection_is_refused(tmp_path, collection, scores, message):
    Run.from_scores("x", scores).write(tmp_path / "x.trec")
    with pytest.raises(InputError, match=message):
        RunFile(tmp_path / "x.trec").retrieve(collection, ["q0"], 10)


def test_a_retriever_is_asked_once_for_the_same_queries(tmp_path, collection):
    class Counting(RandomOrder):
        asked = 0

        def retrieve(self, *arguments):
            Counting.asked += 1
            return super().retrieve(*arguments)

    runs = [
        retrieve_once(Counting(), collection, ["q0", "q5"], 5, Store(tmp_path)) for _ in range(3)
    ]
    assert Counting.asked == 1
    assert runs[0].rankings == runs[2].rankings


class Alphabet(RandomOrder):
    """Every document, in the order of the collection."""

    def retrieve(self, collection, query_ids, depth):
        ranked = {doc_id: -float(n) for n, doc_id in enumerate(list(collection.documents)[:depth])}
        return Run.from_scores("alphabet", dict.fromkeys(query_ids, ranked))


def test_excluded_documents_are_left_out_and_the_depth_is_filled(tmp_path):
    queries = {"q1": "one", "q2": "two"}
    judged = {"test": {"q1": {"a": 1}}}
    whole = Collection("toy", dict.fromkeys("abcdef", "x"), queries, {"test": ()}, judged, "toy")
    collection = whole.excluding({"q1": frozenset("adz"), "q2": frozenset("f")})
    for _ in range(2):  # made, and read from the store
        found = retrieve_once(Alphabet(), collection, ["q1", "q2"], 3, Store(tmp_path))
        assert [found.doc_ids(q) for q in ("q1", "q2")] == [["b", "c", "e"], ["a", "b", "c"]]
        assert found.left_out == 3
    assert retrieve_once(Alphabet(), whole, ["q1"], 3, Store(tmp_path)).left_out == 0


def test_an_excluded_document_takes_no_rank_in_a_fusion():
    queries = {"q1": "one"}
    whole = Collection("toy", dict.fromkeys("abc", "x"), queries, {"test": ()}, {"test": {}}, "toy")
    fusion = ReciprocalRankFusion({"one": Alphabet(), "other": Alphabet()}, k=60)
    found = fusion.retrieve(whole.excluding({"q1": frozenset("a")}), ["q1"], 2)
    assert (
        found.rankings["q1"]
        == Run.from_scores("", {"q1": {"b": 2 / 61, "c": 2 / 62}}).rankings["q1"]
    )


def test_a_run_made_in_another_precision_is_another_run(tmp_path, collection, monkeypatch):
    monkeypatch.setattr(Hardware, "_multiplies_in_bf16", lambda _: True)
    asked = []

    @dataclass(frozen=True)
    class Recording(RandomOrder):
        hardware: Hardware = handed_over(Hardware())

        def retrieve(self, *arguments):
            asked.append(self.hardware.precision)
            return super().retrieve(*arguments)

    for precision in ("fp32", "bf16", "fp32", "bf16"):
        first = Recording(0, Hardware(precision=precision))
        fused = ReciprocalRankFusion({"one": first, "other": RandomOrder(1)})
        retrieve_once(fused, collection, ["q0"], 5, Store(tmp_path))
    assert asked == ["fp32", "bf16"]


def test_the_oracle_is_the_ceiling_and_no_reranker_is_the_floor(collection):
    run = RandomOrder().retrieve(collection, collection.query_ids("test"), 96)
    qrels = collection.qrels("test")
    assert evaluate(Oracle().rerank(run, collection), qrels, ["MRR@10"]).mean["MRR@10"] == 1.0
    assert FirstStage().rerank(run, collection) is run


@pytest.mark.parametrize(
    "name, expected",
    [("scifact", (0.6762, 0.6413, 0.9127)), ("cranfield", (0.3432, 0.5056, 0.7221))],
)
def test_bm25_reaches_the_figures_known_for_real_collections(
    shared_collections, tmp_path, name, expected
):
    real = BeirFolder(shared_collections / name).load()
    run = BM25(store=tmp_path).retrieve(real, real.query_ids("test"), 100)
    found = evaluate(run, real.qrels("test"), ["nDCG@10", "MRR@10", "R@100"]).mean
    assert list(found.values()) == pytest.approx(expected, abs=0.01)


def test_the_biencoder_as_reranker_may_encode_the_candidates_alone(tmp_path, collection):
    encoder = BiEncoder(EMBEDDED, store=tmp_path)
    candidates = RandomOrder().retrieve(collection, ["q0", "q1", "q2"], 5)
    alone = BiEncoderScore(encoder, stored=False).rerank(candidates, collection)
    assert not list(tmp_path.rglob("vectors"))
    whole = BiEncoderScore(encoder).rerank(candidates, collection)
    for query_id in candidates.rankings:
        scores = dict(alone.rankings[query_id])
        for doc_id, score in whole.rankings[query_id]:
            assert scores[doc_id] == pytest.approx(score, abs=1e-3)


BM25_NAME = "BM25 k1=0.9 b=0.4"


@pytest.mark.parametrize(
    "retriever, name, searches",
    [
        (BM25(), BM25_NAME, True),
        (BiEncoder("some/model"), "BiEncoder some/model", True),
        (RunFile(Path("a.trec")), "run file a.trec", False),
        (OfficialCandidates({"test": "some/dataset"}), "official", False),
        (
            ReciprocalRankFusion({"one": BM25(), "other": BiEncoder("some/model")}),
            f"fusion of {BM25_NAME} and BiEncoder some/model",
            True,
        ),
        (
            ReciprocalRankFusion({"one": BM25(), "other": RunFile(Path("a.trec"))}),
            f"fusion of {BM25_NAME} and run file a.trec",
            False,
        ),
    ],
)
def test_a_retriever_says_what_its_candidates_are_called(retriever, name, searches):
    assert (retriever.candidates, retriever.searches_collection) == (name, searches)


def test_what_a_first_stage_cut_is_counted_and_kept_with_its_run(tmp_path, collection):
    short = BiEncoder(EMBEDDED, max_length=8, query_prompt="red cat ", store=tmp_path)
    store, query_ids = Store(tmp_path), ["q0", "q1"]
    long = ReciprocalRankFusion({"short": short, "bm25": BM25(store=tmp_path)})
    for retriever in (short, long):
        for _ in range(2):  # made, then read
            cost = retrieve_once(retriever, collection, query_ids, 5, store).cost
            # [CLS] here lives a red cat [SEP], then and more words as often as number % 5 says
            assert (cost.cut_documents, cost.cut_queries) == (76, 0)
            assert cost.cut_tokens == sum(3 * (n % 5) - 1 for n in range(96) if n % 5)
            assert cost.tokens == 20 * 7 + 76 * 8 + 2 * 6
