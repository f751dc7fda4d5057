import json
import threading

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer, BertModel

from recross.checkpoints.late_contract import LateInteractionContract
from recross.errors import InputError
from recross.inference.late_interaction.encoding import make_document_encoder
from recross.inference.late_interaction.token_vectors import TokenVectors
from recross.inference.texts.texts import GivenTexts
from recross.machine.hardware import Hardware
from recross.rerankers.late_interaction.late_interaction import LateInteraction
from recross.runs import Run
from tests.conftest import save_tiny
from tests.rerankers.test_cross_encoder import mixed_pairs

CONTRACT = LateInteractionContract("tiny", query_length=12, document_length=20, dimension=16)
PAIRS = mixed_pairs(30)


@pytest.fixture(scope="module")
def colbert(tmp_path_factory):
    """A checkpoint as ColBERT itself saves one: ``bert.*`` with its pooler, ``linear.weight``."""
    folder = save_tiny(tmp_path_factory.mktemp("colbert"))
    state = load_file(folder / "model.safetensors")
    state = {name: value for name, value in state.items() if name.startswith("bert.")}
    generator = torch.Generator().manual_seed(3)
    state["linear.weight"] = torch.randn(16, 32, generator=generator)
    save_file(state, folder / "model.safetensors", {"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    config["architectures"] = ["HF_ColBERT"]
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def slow_score(folder, query, document):
    """MaxSim by two loops, each text alone through Hugging Face's own forward."""
    model = BertModel.from_pretrained(folder).eval()
    linear = load_file(folder / "model.safetensors")["linear.weight"]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = tokenizer.convert_tokens_to_ids

    def vectors(tokens, mask):
        with torch.no_grad():
            out = model(
                input_ids=torch.tensor([tokens]), attention_mask=torch.tensor([mask])
            ).last_hidden_state[0]
        out = out @ linear.T
        return out / out.norm(dim=1, keepdim=True)

    def body(text, limit):
        return tokenizer(text, add_special_tokens=False)["input_ids"][: limit - 3]

    own = [ids("[CLS]"), ids("[unused0]"), *body(query, 12), ids("[SEP]")]
    filled = own + [ids("[MASK]")] * (12 - len(own))
    queries = vectors(filled, [1] * len(own) + [0] * (12 - len(own)))
    text = [ids("[CLS]"), ids("[unused1]"), *body(document, 20), ids("[SEP]")]
    documents = vectors(text, [1] * len(text))
    skipped = {ids("."), ids(",")}
    total = 0.0
    for one in queries:
        best = -2.0
        for token, other in zip(text, documents, strict=True):
            if token not in skipped:
                best = max(best, float(one @ other))
        total += best
    return total


def test_scores_equal_a_slow_double_loop(colbert):
    pairs = [*PAIRS[:8], ("red cat", "here . lives , a red cat . . ,"), ("owl", "")]
    found = LateInteraction(str(colbert), contract=CONTRACT).predict(pairs)
    expected = [slow_score(colbert, query, document) for query, document in pairs]
    assert np.std(expected) > 0.05
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_punctuation_and_attention_to_masks_follow_the_contract(colbert):
    pairs = [(word, f", . {word} . ,") for word in ("red", "blue", "owl", "cat", "bee", "dog")]

    def scores(skips, sees):
        contract = LateInteractionContract(
            "tiny", 12, 20, dimension=16, skip_punctuation=skips, attends_to_masks=sees
        )
        return LateInteraction(str(colbert), contract=contract).predict(pairs)

    plain = scores(True, False)
    assert np.abs(scores(True, True) - plain).max() > 0.01
    with_punctuation = scores(False, False)  # more tokens, better maxima
    assert (with_punctuation >= plain - 1e-5).all()
    assert (with_punctuation - plain).max() > 0.01


def test_scores_do_not_change_with_batches_or_order(colbert):
    found = [
        LateInteraction(
            str(colbert), contract=CONTRACT, hardware=Hardware(tokens_per_batch=budget)
        ).predict(PAIRS)
        for budget in (1, 150, 10**6)
    ]
    turned = LateInteraction(str(colbert), contract=CONTRACT).predict(PAIRS[::-1])[::-1]
    for other in (*found[1:], turned):
        np.testing.assert_allclose(other, found[0], atol=1e-4)


def test_without_the_packed_forward_the_scores_are_the_same(colbert, monkeypatch):
    packed = LateInteraction(str(colbert), contract=CONTRACT).predict(PAIRS)
    monkeypatch.setattr("recross.inference.encoders.families.FAMILIES", {})
    plain = LateInteraction(str(colbert), contract=CONTRACT).predict(PAIRS)
    np.testing.assert_allclose(plain, packed, atol=1e-4)


@pytest.mark.parametrize("vectors, tolerance", [("none", 1e-4), ("fp16", 5e-3), ("int8", 5e-2)])
def test_stored_vectors_give_the_scores_of_the_network(
    tmp_path, collection, colbert, vectors, tolerance
):
    candidates = Run.from_scores(
        "first", {q: {f"d{n}": -float(n) for n in range(0, 90, 7)} for q in ("q0", "q5", "q9")}
    )
    exact = LateInteraction(str(colbert), contract=CONTRACT)
    stored = LateInteraction(str(colbert), contract=CONTRACT, vectors=vectors, store=tmp_path)
    reranked = stored.rerank(candidates, collection)
    for query_id, ranking in reranked.rankings.items():
        texts = [collection.documents[doc.doc_id] for doc in ranking]
        expected = exact.score(collection.queries[query_id], texts)
        np.testing.assert_allclose([doc.score for doc in ranking], expected, atol=tolerance)
    assert reranked.cost.pairs == 3 * 13


def test_documents_are_halved_where_memory_is_too_small_and_give_the_same_vectors(
    colbert, collection, monkeypatch
):
    documents = GivenTexts(list(collection.documents.values()))
    network = LateInteraction(str(colbert), contract=CONTRACT).network
    expected = list(make_document_encoder(network, Hardware(tokens_per_batch=200))(documents))
    document_vectors, tried = network.document_vectors, []

    def limited(batch, forward):
        tried.append(len(batch))
        if len(batch) > 4:
            raise RuntimeError("DefaultCPUAllocator: not enough memory")
        return document_vectors(batch, forward)

    monkeypatch.setattr(network, "document_vectors", limited)
    found = list(make_document_encoder(network, Hardware(tokens_per_batch=200))(documents))
    assert max(tried) > 4
    for (vectors, lost), (same, same_lost) in zip(found, expected, strict=True):
        np.testing.assert_allclose(vectors, same, atol=1e-5)
        assert lost == same_lost


def test_devices_share_the_documents(colbert, collection, monkeypatch):
    documents = GivenTexts(list(collection.documents.values()))
    network = LateInteraction(str(colbert), contract=CONTRACT).network
    one, two = (Hardware(threads=1, tokens_per_batch=100, devices=n) for n in (1, 2))
    expected = list(make_document_encoder(network, one)(documents))
    is_kept, threads = network.is_kept, set()

    def watched(tokens):
        threads.add(threading.get_ident())
        return is_kept(tokens)

    monkeypatch.setattr(network, "is_kept", watched)
    found = list(make_document_encoder(network, two)(documents))
    for (vectors, _), (same, _) in zip(found, expected, strict=True):
        np.testing.assert_array_equal(vectors, same)
    assert threads
    assert threading.get_ident() not in threads


def test_a_collection_is_encoded_once(tmp_path, collection, colbert, monkeypatch):
    candidates = Run.from_scores("first", {"q0": {"d0": 1.0, "d9": 0.0}})

    def rerank():
        fresh = LateInteraction(str(colbert), contract=CONTRACT, store=tmp_path)
        return fresh.rerank(candidates, collection)

    first = rerank()
    monkeypatch.setattr(TokenVectors, "write", None)
    assert rerank().rankings == first.rankings


def test_int8_takes_about_half_the_room_of_half_precision(tmp_path, collection, colbert):
    sizes = {}
    for vectors in ("fp16", "int8"):
        reranker = LateInteraction(
            str(colbert), contract=CONTRACT, vectors=vectors, store=tmp_path / vectors
        )
        reranker.token_vectors(collection)
        sizes[vectors] = next((tmp_path / vectors).rglob("vectors.bin")).stat().st_size
    assert sizes["int8"] * 2 == sizes["fp16"]


def test_a_saved_network_keeps_its_contract_and_its_scores(tmp_path, colbert):
    first = LateInteraction(str(colbert), contract=CONTRACT)
    first.network.save(tmp_path / "saved")
    again = LateInteraction(str(tmp_path / "saved"))
    assert again.network.contract == CONTRACT
    np.testing.assert_allclose(again.predict(PAIRS), first.predict(PAIRS), atol=1e-5)
    names = load_file(tmp_path / "saved" / "model.safetensors").keys()
    assert "linear.weight" in names
    assert all(name.startswith(("bert.", "linear.")) for name in names)


def test_a_checkpoint_without_the_linear_layer_is_refused_unless_it_is_to_be_trained(tiny_bert):
    with pytest.raises(InputError, match="lacks linear.weight"):
        _ = LateInteraction(str(tiny_bert), contract=CONTRACT).network
    fresh = LateInteraction(str(tiny_bert), contract=CONTRACT, fresh_head=True)
    assert fresh.network.head_is_fresh


def test_what_a_checkpoint_cannot_serve_is_refused(tmp_path, colbert):
    with pytest.raises(
        InputError, match="contract must be given for .*: .*colbertv2.*, or your own"
    ):
        _ = LateInteraction(str(colbert)).network
    with pytest.raises(InputError, match="architecture bert, got .* which is electra"):
        folder = save_tiny(tmp_path / "electra", "electra")
        _ = LateInteraction(str(folder), contract=CONTRACT).network
    marked = LateInteractionContract("x", 12, 20, "[Q]", dimension=16)
    with pytest.raises(InputError, match=r"marker must be an entry .* got '\[Q\]'"):
        _ = LateInteraction(str(colbert), contract=marked).network
    with pytest.raises(InputError, match="query_length must be at least 4, got 3"):
        LateInteractionContract("x", query_length=3)


def test_what_was_cut_is_counted_with_and_without_stored_vectors(tmp_path, collection, colbert):
    contract = LateInteractionContract("tiny", query_length=4, document_length=8, dimension=16)
    candidates = Run.from_scores("first", {"q4": {"d4": 1.0, "d0": 0.0}, "q9": {"d4": 1.0}})
    found = [
        LateInteraction(str(colbert), contract=contract, vectors=vectors, store=tmp_path)
        .rerank(candidates, collection)
        .cost
        for vectors in ("none", "fp16")
    ]
    assert found[0].cut_queries == found[1].cut_queries == 3  # two words, room for one
    # "here lives a COLOUR ANIMAL" fits with its 5 tokens; d4 has 12 more words
    assert found[0].cut_documents == found[1].cut_documents == 2
    assert found[0].cut_tokens == found[1].cut_tokens == 3 + 2 * 12
