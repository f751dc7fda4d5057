"""SPLADE's weights and scores are those of the model's own output, and the store keeps them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import transformers

from recross.artefacts.manifest import forget_verified
from recross.errors import InputError
from recross.machine.hardware import Hardware
from recross.retrieval import document_vectors
from recross.retrieval.sparse_encoder import SparseEncoder
from recross.retrieval.splade import SPLADE
from recross.runs import Run
from tests.conftest import save_tiny

TEXTS = ["red cat", "here lives a blue owl and more words and more words", "dog", "red cat"]


@pytest.fixture(scope="module")
def masked_lm(tmp_path_factory):
    folder = save_tiny(tmp_path_factory.mktemp("splade") / "bert")
    torch.manual_seed(2)
    config = transformers.AutoConfig.from_pretrained(folder)
    transformers.BertForMaskedLM(config).save_pretrained(folder)
    return str(folder)


def weigh_slowly(folder, text, max_length=64):
    """One text alone, its terms one by one."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForMaskedLM.from_pretrained(folder).eval()
    inputs = tokenizer(text, truncation=True, max_length=max_length, return_tensors="pt")
    with torch.no_grad():
        logits = model(**inputs).logits[0]
    weights = [max(np.log1p(max(float(x), 0.0)) for x in column) for column in logits.T]
    return np.array(weights, dtype=np.float32)


def make_retriever(masked_lm, store, **more):
    return SPLADE(masked_lm, max_length=64, max_query_length=64, store=store, **more)


def test_scores_are_products_of_all_weights(masked_lm, tmp_path, collection):
    run = make_retriever(masked_lm, tmp_path).retrieve(collection, ["q0", "q5"], 96)
    texts = dict(list(collection.documents.items())[::13])
    for query_id in ("q0", "q5"):
        query = weigh_slowly(masked_lm, collection.queries[query_id])
        scores = dict(run.rankings[query_id])
        for doc_id, text in texts.items():
            assert scores[doc_id] == pytest.approx(query @ weigh_slowly(masked_lm, text), rel=1e-4)


def test_query_and_document_are_cut_to_their_own_length(masked_lm, tmp_path, collection):
    retriever = SPLADE(masked_lm, max_length=7, max_query_length=3, store=tmp_path)
    run = retriever.retrieve(collection, ["q0"], 96)
    query = weigh_slowly(masked_lm, collection.queries["q0"], 3)
    document = weigh_slowly(masked_lm, collection.documents["d4"], 7)
    assert dict(run.rankings["q0"])["d4"] == pytest.approx(query @ document, rel=1e-4)
    assert (run.cost.cut_documents, run.cost.cut_queries) == (
        76,
        1,
    )
    assert run.cost.cut_tokens == sum(3 * (n % 5) for n in range(96)) + 1


def test_documents_that_tie_at_the_depth_fall_by_their_id(masked_lm, tmp_path, collection):
    texts = {f"d{number}": "a red cat" for number in (3, 1, 4, 5, 2)}
    same = replace(collection, documents=texts, queries={"q": "red cat"}, fingerprint="same")
    run = make_retriever(masked_lm, tmp_path).retrieve(same, ["q"], 3)
    assert run.doc_ids("q") == ["d5", "d4", "d3"]


def test_a_second_run_reads_the_store(masked_lm, tmp_path, collection, monkeypatch):
    first = make_retriever(masked_lm, tmp_path).retrieve(collection, ["q0"], 10)
    encoded = watch_texts(monkeypatch)
    other_queries = replace(make_retriever(masked_lm, tmp_path), max_query_length=32)
    assert other_queries.retrieve(collection, ["q0"], 10) == first
    assert encoded == [collection.queries["q0"]]
    assert make_retriever(masked_lm, tmp_path).retrieve(collection, [], 10) == Run("splade", {})


def test_an_interrupted_encoding_goes_on_where_it_stopped(
    masked_lm, tmp_path, collection, monkeypatch
):
    whole = make_retriever(masked_lm, tmp_path / "whole").retrieve(collection, ["q3"], 96)
    monkeypatch.setattr(document_vectors, "DOCUMENTS_PER_CHUNK", 40)
    texts = list(collection.documents.values())
    with pytest.MonkeyPatch.context() as patch:
        watch_texts(patch, dies_at=texts[85])
        with pytest.raises(KeyboardInterrupt):
            make_retriever(masked_lm, tmp_path).retrieve(collection, ["q3"], 96)
    encoded = watch_texts(monkeypatch)
    again = make_retriever(masked_lm, tmp_path).retrieve(collection, ["q3"], 96)
    assert encoded == [*texts[80:], collection.queries["q3"]]
    assert dict(again.rankings["q3"]) == pytest.approx(dict(whole.rankings["q3"]), rel=1e-5)
    assert not list(tmp_path.glob("sparse_parts/[!.]*"))


def test_a_part_that_was_damaged_after_an_interruption_is_encoded_again(
    masked_lm, tmp_path, collection, monkeypatch, caplog
):
    monkeypatch.setattr(document_vectors, "DOCUMENTS_PER_CHUNK", 40)
    texts = list(collection.documents.values())
    whole = make_retriever(masked_lm, tmp_path / "whole").retrieve(collection, ["q3"], 96)
    with pytest.MonkeyPatch.context() as patch:
        watch_texts(patch, dies_at=texts[85])
        with pytest.raises(KeyboardInterrupt):
            make_retriever(masked_lm, tmp_path).retrieve(collection, ["q3"], 96)
    path = min((tmp_path / "sparse_parts").glob("[!.]*/weights.npz"))
    content = path.read_bytes()
    half = len(content) // 2
    path.write_bytes(content[:half] + bytes([content[half] ^ 1]) + content[half + 1 :])
    forget_verified()
    encoded = watch_texts(monkeypatch)
    again = make_retriever(masked_lm, tmp_path).retrieve(collection, ["q3"], 96)
    assert encoded in (
        [*redone, *texts[80:], collection.queries["q3"]] for redone in (texts[:40], texts[40:80])
    )
    assert again.rankings == whole.rankings
    damaged = f"{path.parent}: weights.npz is not what was written; it is made again"
    assert damaged in caplog.messages


def test_posting_lists_are_those_of_all_weights_at_once(
    masked_lm, tmp_path, collection, monkeypatch
):
    monkeypatch.setattr(document_vectors, "DOCUMENTS_PER_CHUNK", 7)
    retriever = make_retriever(masked_lm, tmp_path)
    retriever.retrieve(collection, ["q3"], 96)
    weighed = retriever._weigh_documents(list(collection.documents.values())).weights
    expected = weighed.T.tocsr()
    (folder,) = (tmp_path / "sparse").glob("[!.]*")
    starts, documents, weights = (
        np.load(folder / f"{name}.npy") for name in ("starts", "documents", "weights")
    )
    assert (starts == expected.indptr).all()
    assert (documents == expected.indices).all()
    assert weights == pytest.approx(expected.data, rel=1e-5)


def test_a_length_beyond_the_positions_is_refused(masked_lm, tmp_path, collection):
    retriever = SPLADE(masked_lm, max_length=64, max_query_length=81, store=tmp_path)
    with pytest.raises(InputError, match="max_query_length must not exceed the 80 positions"):
        retriever.retrieve(collection, ["q0"], 10)
    with pytest.raises(InputError, match="max_length must be at least 1, got 0"):
        SPLADE(masked_lm, max_length=0)


def test_bf16_is_another_index_of_nearly_the_same_weights(
    masked_lm, tmp_path, collection, monkeypatch
):
    monkeypatch.setattr(Hardware, "_multiplies_in_bf16", lambda _: True)
    exact, half = (
        make_retriever(masked_lm, tmp_path, hardware=Hardware(precision=precision)).retrieve(
            collection, ["q0"], 96
        )
        for precision in ("fp32", "bf16")
    )
    assert len(list((tmp_path / "sparse").glob("*/manifest.json"))) == 2
    assert exact != half
    assert dict(half.rankings["q0"]) == pytest.approx(dict(exact.rankings["q0"]), rel=0.1)


def watch_texts(patch, dies_at=None):
    """Collect the texts that are encoded; at one of them the power is lost."""
    encoded, encode = [], SparseEncoder.encode

    def watched(self, texts, *more):
        if dies_at in texts:
            raise KeyboardInterrupt
        encoded.extend(texts)
        return encode(self, texts, *more)

    patch.setattr(SparseEncoder, "encode", watched)
    return encoded
