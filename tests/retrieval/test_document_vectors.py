from dataclasses import replace

import numpy as np
import pytest

from recross.collections.files import BeirFolder
from recross.evaluation.measures import evaluate
from recross.inference.encoders.pooled import EncodedTexts
from recross.inference.texts.texts import NamedTexts
from recross.machine.hardware import Hardware
from recross.records import Cost
from recross.rerankers.baselines import BiEncoderScore
from recross.retrieval import document_vectors, vector_index
from recross.retrieval.biencoder import BiEncoder
from recross.retrieval.document_vectors import DocumentVectors
from recross.retrieval.vector_index import compute_products, search_exactly
from recross.sharing.document_parts import DocumentParts
from recross.store import Store

EMBEDDED = "embedded:all-minilm-l6-v2"
DIMENSION = 6


def vector(text):
    """A unit vector that depends on the text alone."""
    drawn = np.random.default_rng(sum(map(ord, text))).normal(size=DIMENSION)
    return (drawn / np.linalg.norm(drawn)).astype(np.float32)


class Encoder:
    """Yields batches of two in reverse order, and loses power at a text if told to."""

    def __init__(self, dies_at=None):
        self.dies_at = dies_at
        self.seen = []

    def __call__(self, texts):
        for rows in np.array_split(np.arange(len(texts))[::-1], -(-len(texts) // 2)):
            own = texts.take(rows).strings()
            if self.dies_at in own:
                raise KeyboardInterrupt
            self.seen += own
            lengths, lost = np.array([(len(text), text.endswith("2")) for text in own]).T
            yield EncodedTexts(rows, np.stack([vector(text) for text in own]), lengths, lost)


@pytest.fixture
def documents():
    return {f"d{number}": f"text {number}" for number in range(23)}


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(document_vectors, "DOCUMENTS_PER_CHUNK", 5)
    monkeypatch.setattr(document_vectors, "ROWS_AT_ONCE", 4)


def parts_of(folder, documents, encode):
    def make(span, path):
        doc_ids = list(documents)[span.start : span.stop]
        return DocumentVectors.write_part(path, NamedTexts(documents, doc_ids), doc_ids, encode)

    return DocumentParts(Store(folder), "vectors", {"x": 1}, len(documents), 5, make)


def stored(folder, documents, encode):
    def make(path):
        texts = NamedTexts(documents, list(documents))
        return DocumentVectors.write(path, texts, list(documents), encode, parts)

    parts = parts_of(folder, documents, encode)
    return DocumentVectors.open(parts.store.artefact("vectors", {"x": 1}, make, resumable=True))


def test_vectors_stand_in_the_order_of_the_documents_in_half_precision(tmp_path, documents):
    found = stored(tmp_path, documents, Encoder())
    expected = np.stack([vector(text) for text in documents.values()])
    assert isinstance(found.vectors, np.memmap)
    assert found.vectors.dtype == np.float16
    assert (np.asarray(found.vectors) == expected.astype(np.float16)).all()
    assert found.doc_ids == list(documents)
    assert (found.of(["d7", "d0"]) == expected[[7, 0]].astype(np.float16)).all()


@pytest.mark.parametrize("death, lost", [("text 3", 0), ("text 12", 2), ("text 22", 4)])
def test_an_interrupted_encoding_goes_on_at_its_last_finished_chunk(
    tmp_path, documents, death, lost
):
    first = Encoder(dies_at=death)
    with pytest.raises(KeyboardInterrupt):
        stored(tmp_path, documents, first)
    second = Encoder()
    found = stored(tmp_path, documents, second)
    assert sorted(second.seen) == sorted(list(documents.values())[5 * lost :])
    whole = stored(tmp_path / "other", documents, Encoder())
    assert (np.asarray(found.vectors) == np.asarray(whole.vectors)).all()
    tokens = sum(map(len, documents.values()))  # texts 2, 12 and 22 lose one
    assert found.cuts == whole.cuts == Cost(tokens=tokens, cut_documents=3, cut_tokens=3)


def test_what_others_encoded_is_put_together_and_deleted(tmp_path, documents):
    whole = stored(tmp_path / "whole", documents, Encoder())
    parts = parts_of(tmp_path, documents, Encoder())
    assert len(parts) == 5
    for number in (4, 0, 2):  # in any order, and not all
        assert not parts.is_finished(number)
        assert parts.make_if_free(number)
    here = Encoder()
    found = stored(tmp_path, documents, here)
    texts = list(documents.values())
    assert sorted(here.seen) == sorted([*texts[5:10], *texts[15:20]])
    assert (np.asarray(found.vectors) == np.asarray(whole.vectors)).all()
    assert (found.doc_ids, found.cuts) == (whole.doc_ids, whole.cuts)
    assert not list(tmp_path.glob("vectors_parts/[!.]*"))
    assert all(map(parts.is_finished, range(5)))  # nobody begins again


def test_bytes_behind_the_last_finished_chunk_are_not_trusted(tmp_path, documents):
    with pytest.raises(KeyboardInterrupt):
        stored(tmp_path, documents, Encoder(dies_at="text 12"))
    (partial,) = (tmp_path / "vectors").glob(".*.partial")
    with (partial / "vectors.bin").open("ab") as file:
        file.write(b"half of a chunk")
    found = stored(tmp_path, documents, Encoder())
    expected = np.stack([vector(text) for text in documents.values()]).astype(np.float16)
    assert (np.asarray(found.vectors) == expected).all()


def test_an_interrupted_encoding_whose_bytes_changed_begins_again(tmp_path, documents, caplog):
    with pytest.raises(KeyboardInterrupt):
        stored(tmp_path, documents, Encoder(dies_at="text 12"))
    (partial,) = (tmp_path / "vectors").glob(".*.partial")
    content = (partial / "vectors.bin").read_bytes()
    (partial / "vectors.bin").write_bytes(content[:7] + bytes([content[7] ^ 1]) + content[8:])
    second = Encoder()
    found = stored(tmp_path, documents, second)
    assert sorted(second.seen) == sorted(documents.values())
    expected = np.stack([vector(text) for text in documents.values()]).astype(np.float16)
    assert (np.asarray(found.vectors) == expected).all()
    assert f"{partial}: vectors.bin is not what was written; begun again" in caplog.messages


@pytest.mark.parametrize("depth", [1, 7, 23, 40])
def test_search_block_by_block_is_exact(tmp_path, documents, depth, monkeypatch):
    monkeypatch.setattr(vector_index, "_QUERIES_AT_ONCE", 2)
    found = stored(tmp_path, documents, Encoder())
    queries = np.stack([vector(f"query {number}") for number in range(5)])
    products = queries @ np.asarray(found.vectors, dtype=np.float32).T
    for (rows, scores), expected in zip(
        search_exactly(found, queries, depth), products, strict=True
    ):
        lowest = np.sort(expected)[::-1][:depth][-1]  # some texts share a vector: they tie
        assert sorted(rows.tolist()) == np.flatnonzero(expected > lowest - 1e-6).tolist()
        assert np.abs(scores - expected[rows]).max() < 1e-6


def test_documents_that_tie_at_the_depth_are_all_found_in_whichever_block(tmp_path, documents):
    same = ["d1", "d2", "d9", "d14", "d22"]
    found = stored(tmp_path, documents | dict.fromkeys(same, "one text"), Encoder())
    ((rows, scores),) = search_exactly(found, vector("one text")[None], 3)
    assert sorted(rows.tolist()) == [1, 2, 9, 14, 22]
    assert len(set(scores.tolist())) == 1


def test_a_sample_is_spread_over_the_collection(tmp_path, documents):
    found = stored(tmp_path, documents, Encoder())
    assert (found.sample(8) == np.asarray(found.vectors)[::3].astype(np.float32)).all()
    assert len(found.sample(1000)) == len(documents)


def test_all_queries_are_searched_in_one_call(tmp_path, collection, monkeypatch):
    asked = []

    def counted(documents, queries, depth):
        asked.append(len(queries))
        return search_exactly(documents, queries, depth)

    monkeypatch.setattr(vector_index, "search_exactly", counted)
    run = BiEncoder(EMBEDDED, store=tmp_path).retrieve(collection, list(collection.queries), 5)
    assert asked == [96]
    assert {len(ranking) for ranking in run.rankings.values()} == {5}
    assert len(BiEncoder(EMBEDDED, store=tmp_path).retrieve(collection, [], 5)) == 0


@pytest.mark.parametrize("queries", [1, 3, 96])
def test_equal_documents_have_equal_cosines_wherever_they_stand(queries):
    rng = np.random.default_rng(0)
    asked, one = rng.normal(size=(queries, 384)), rng.normal(size=384)
    found = []
    for size in (1, 3, 22, 64, 100, 333, 1400):
        documents = rng.normal(size=(size, 384)).astype(np.float32)
        documents[[0, size // 2, size - 1]] = one
        found.append(
            compute_products(asked.astype(np.float32), documents)[:, [0, size // 2, size - 1]]
        )
    together = np.concatenate(found, axis=1)
    assert (together == together[:, :1]).all()


def test_ties_at_the_depth_fall_by_document_id(tmp_path, collection):
    texts = {f"d{number}": "a red cat" for number in (3, 1, 4, 5, 2)} | {"d0": "a blue dog"}
    same = replace(collection, documents=texts, queries={"q": "red cat"}, fingerprint="same")
    run = BiEncoder(EMBEDDED, store=tmp_path).retrieve(same, ["q"], 3)
    assert run.doc_ids("q") == ["d5", "d4", "d3"]


def test_vectors_of_another_precision_are_others(tmp_path, collection, monkeypatch):
    exact = BiEncoder(EMBEDDED, store=tmp_path)
    monkeypatch.setattr(Hardware, "_multiplies_in_bf16", lambda _: True)
    half = replace(exact, hardware=Hardware(precision="bf16"))
    one, two = (encoder.document_vectors(collection).vectors for encoder in (exact, half))
    assert one.filename != two.filename


@pytest.mark.ci
def test_stored_in_half_precision_the_biencoder_reaches_its_known_figures(
    shared_collections, tmp_path, monkeypatch
):
    monkeypatch.undo()  # chunks of their own size
    real = BeirFolder(shared_collections / "cranfield").load()
    encoder = BiEncoder(EMBEDDED, store=tmp_path)
    run = encoder.retrieve(real, real.query_ids("test"), 100)
    found = evaluate(run, real.qrels("test"), ["nDCG@10", "R@100"]).mean
    assert found["nDCG@10"] == pytest.approx(0.3736, abs=0.0005)
    assert found["R@100"] > 0.77
    again = BiEncoderScore(encoder).rerank(run, real)
    assert evaluate(again, real.qrels("test"), ["nDCG@10"]).mean["nDCG@10"] == pytest.approx(
        found["nDCG@10"], abs=1e-4
    )
