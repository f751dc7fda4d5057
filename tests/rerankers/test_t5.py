import json
import shutil

import numpy as np
import pytest
import torch
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

from recross.checkpoints import pretrained
from recross.checkpoints.contracts import PromptContract
from recross.checkpoints.grown_t5 import grow_t5
from recross.checkpoints.published import PUBLISHED, find_contract
from recross.errors import InputError
from recross.inference.tokens import Joiner, prompt_template
from recross.machine.hardware import Hardware
from recross.rerankers.networks.answers import find_piece
from recross.rerankers.t5 import T5Reranker
from tests.conftest import save_tiny, save_tiny_t5
from tests.rerankers.test_cross_encoder import mixed_pairs

PAIRS = mixed_pairs(40)


def generated(folder, texts, pieces, start=None):
    """Logits of these pieces at the first new step of ``generate`` itself, one padded batch."""
    model = AutoModelForSeq2SeqLM.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    inputs = tokenizer(texts, return_tensors="pt", padding=True)
    out = model.generate(
        **inputs,
        max_new_tokens=2,
        do_sample=False,
        output_scores=True,
        return_dict_in_generate=True,
        **({"decoder_input_ids": start.expand(len(texts), -1)} if start is not None else {}),
    )
    return out.scores[0][:, tokenizer.convert_tokens_to_ids(list(pieces))].float()


def test_monot5_equals_what_generate_gives(tiny_t5):
    prompts = [f"Query: {query} Document: {document} Relevant:" for query, document in PAIRS]
    logits = generated(tiny_t5, prompts, ["▁false", "▁true"])
    expected = logits.log_softmax(dim=1)[:, 1].numpy()
    assert expected.std() > 0.01
    found = T5Reranker(str(tiny_t5), contract="monot5").predict(PAIRS)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_rankt5_equals_what_generate_gives(tiny_t5):
    prompts = [f"Query: {query} Document: {document}" for query, document in PAIRS]
    expected = generated(tiny_t5, prompts, ["<extra_id_10>"])[:, 0].numpy()
    found = T5Reranker(str(tiny_t5), contract="rankt5").predict(PAIRS)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    bare = T5Reranker(str(tiny_t5), contract="rankt5-t5x").predict(PAIRS)  # no end of sequence
    assert np.abs(bare - found).max() > 1e-3


def test_digits_are_read_as_their_expected_value(tiny_t5):
    prompts = [f"Query: {query} Document: {document} Score:" for query, document in PAIRS]
    start = torch.tensor([0, AutoTokenizer.from_pretrained(tiny_t5).get_vocab()["▁"]])
    logits = generated(tiny_t5, prompts, "0123456789", start)
    expected = (logits.softmax(dim=1) * torch.arange(10)).sum(dim=1).numpy()
    found = T5Reranker(str(tiny_t5), contract="t5-digits").predict(PAIRS)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert (found > 0).all()
    assert (found < 9).all()


@pytest.mark.parametrize("contract", ["monot5", "rankt5", "t5-digits"])
def test_scores_do_not_change_with_batches_order_or_padding(tiny_t5, contract):
    alone = [
        T5Reranker(
            str(tiny_t5), contract=contract, hardware=Hardware(tokens_per_batch=budget)
        ).predict(PAIRS)
        for budget in (1, 200, 100_000)
    ]
    turned = T5Reranker(str(tiny_t5), contract=contract).predict(PAIRS[::-1])[::-1]
    for other in (*alone[1:], turned):
        np.testing.assert_allclose(other, alone[0], atol=1e-4)


def test_networks_without_a_packed_forward_get_the_same_scores(tiny_t5, monkeypatch):
    packed = T5Reranker(str(tiny_t5), contract="monot5").predict(PAIRS)
    monkeypatch.setattr("recross.inference.encoders.families.FAMILIES", {})
    plain = T5Reranker(str(tiny_t5), contract="monot5")
    np.testing.assert_allclose(plain.predict(PAIRS), packed, atol=1e-4)


def test_an_encoder_only_rankt5_reads_its_head(tmp_path, monkeypatch):
    folder = save_tiny_t5(tmp_path / "encoder", "encoder")
    packed = T5Reranker(str(folder), contract="rankt5-encoder").predict(PAIRS)
    monkeypatch.setattr("recross.inference.encoders.families.FAMILIES", {})
    plain = T5Reranker(str(folder), contract="rankt5-encoder").predict(PAIRS)
    assert packed.std() > 0.01
    np.testing.assert_allclose(packed, plain, atol=1e-4)


def test_a_dense_head_that_is_missing_is_refused_unless_it_is_to_be_trained(tiny_t5):
    with pytest.raises(InputError, match=r"lacks classifier.bias, classifier.weight"):
        _ = T5Reranker(str(tiny_t5), contract="rankt5-encoder").network
    fresh = T5Reranker(str(tiny_t5), contract="rankt5-encoder", fresh_head=True)
    assert fresh.network.head_is_fresh


def test_answers_are_numbered_as_published_in_the_real_vocabulary(shared_t5_tokenizer):
    tokenizer = AutoTokenizer.from_pretrained(shared_t5_tokenizer)
    monot5, rankt5 = find_contract("monot5"), find_contract("rankt5")
    assert [find_piece(tokenizer, piece) for piece in monot5.pieces] == [6136, 1176]
    assert [find_piece(tokenizer, piece) for piece in rankt5.pieces] == [32089]
    for contract in (find_contract("t5-digits"), find_contract("duot5-named")):
        for piece in (*contract.pieces, *contract.opening):
            assert tokenizer.convert_ids_to_tokens(find_piece(tokenizer, piece)) == piece


def test_prompts_joined_by_ids_equal_the_whole_text_in_the_real_vocabulary(shared_t5_tokenizer):
    tokenizer = AutoTokenizer.from_pretrained(shared_t5_tokenizer)
    query, document = " who wrote  Faust?", "Goethe's  “Faust” (1808), in 2 parts\nand more "
    for name in ("monot5", "rankt5", "t5-digits"):
        prompt = find_contract(name).template
        joiner = Joiner(tokenizer, prompt_template(tokenizer, prompt, [1]), 512)
        found = joiner.encode([query], [document], [(0, 0)]).tokens.tolist()
        assert found == tokenizer(prompt.format(query=query, document=document))["input_ids"]


@pytest.mark.parametrize("words", [50, 5000])
def test_a_document_of_any_length_leaves_the_end_of_the_prompt(tiny_t5, words):
    network = T5Reranker(str(tiny_t5), contract="monot5").network
    found = network.encode(["red cat"], ["owl " * words], [(0, 0)])
    assert network.tokenizer.decode(found.tokens[-3:]).replace("  ", " ") == "owl Relevant:</s>"
    assert len(found.tokens) == min(words + 6, 512)


def test_another_answer_gives_another_score(tiny_t5):
    contract = find_contract("monot5")
    swapped = PromptContract("swapped", contract.template, "log_softmax", ("▁false", "▁yes"))
    ours = T5Reranker(str(tiny_t5), contract="monot5").predict(PAIRS)
    theirs = T5Reranker(str(tiny_t5), contract=swapped).predict(PAIRS)
    assert np.abs(ours - theirs).max() > 1e-3


def test_an_answer_of_several_tokens_is_refused(tiny_t5):
    contract = PromptContract("x", "{query} {document}", "logit", ("▁zebra",))
    with pytest.raises(InputError, match="pieces must be single entries .* got '▁zebra'"):
        _ = T5Reranker(str(tiny_t5), contract=contract).network


def test_fp16_is_refused_with_the_reason(tiny_t5):
    with pytest.raises(InputError, match="what it computes exceeds fp16's range"):
        _ = T5Reranker(
            str(tiny_t5),
            contract="monot5",
            hardware=Hardware(accelerator="gpu", precision="fp16"),
        ).network


def test_another_architecture_is_refused(tmp_path):
    folder = save_tiny(tmp_path / "bert")
    with pytest.raises(InputError, match="architecture mt5 or t5 or umt5, got .* which is bert"):
        _ = T5Reranker(str(folder), contract="monot5").network


def test_a_checkpoint_without_its_tokenizer_is_refused(tmp_path, tiny_t5):
    shutil.copytree(tiny_t5, tmp_path / "t5")
    (tmp_path / "t5" / "tokenizer.json").unlink()
    with pytest.raises(InputError, match="must hold a tokenizer file"):
        _ = T5Reranker(str(tmp_path / "t5"), contract="monot5").network


def test_a_checkpoint_without_a_contract_asks_for_one(tiny_t5):
    with pytest.raises(InputError, match="contract must be given for .* monot5, .* or your own"):
        _ = T5Reranker(str(tiny_t5)).network


V1_1 = {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}


@pytest.mark.parametrize("form", [{}, V1_1])
def test_a_saved_network_keeps_its_contract_and_its_scores(tmp_path, form):
    folder = save_tiny_t5(tmp_path / "source", **form)
    first = T5Reranker(str(folder), contract="monot5", max_length=40)
    first.network.save(tmp_path / "saved")
    again = T5Reranker(str(tmp_path / "saved"))
    np.testing.assert_allclose(again.predict(PAIRS), first.predict(PAIRS), atol=1e-5)
    assert again.network.contract.max_length == 40
    stored = json.loads((tmp_path / "saved" / "recross_contract.json").read_text())
    assert stored["kind"] == "PromptContract"


def test_a_t5_grown_from_a_bert_begins_near_it():
    source = "embedded:all-minilm-l6-v2"
    grown = grow_t5(source, 2, seed=0)
    bert = pretrained.load("encoder", source, layers=2, fresh=pretrained.Fresh(labels=None))
    tokens = grown.tokenizer("the mean of an array along an axis", return_tensors="pt")["input_ids"]
    with torch.no_grad():
        ours = grown.model.encoder(input_ids=tokens).last_hidden_state[0]
        theirs = bert.model(input_ids=tokens).last_hidden_state[0]
    near = torch.cosine_similarity(ours[:, None], theirs[None], dim=2)  # of every two tokens
    assert near.diagonal()[1:].mean() > 0.4  # [CLS] has a position of its own in BERT
    assert (near.argmax(dim=1) == torch.arange(len(near))).float()[1:].mean() > 0.8


def test_growing_is_drawn_from_its_seed(tiny_bert):
    contract = PromptContract("x", "{query} : {document}", "log_softmax", ("red", "blue"))

    def scores(seed):
        grown = T5Reranker(str(tiny_bert), contract=contract, grown_layers=2, seed=seed)
        grown.network.finish_training()  # as if it had been trained
        return grown.predict(PAIRS).tolist()

    assert scores(0) == scores(0) != scores(1)


def test_every_published_contract_is_complete():
    for record in PUBLISHED:
        assert record.contract.source.startswith("http"), record.id
        assert find_contract(record.contract.name) == record.contract


@pytest.mark.parametrize(
    "read_out, pieces, rule",
    [
        ("logit", ("a", "b"), "pieces must be 1 for the read-out 'logit', got"),
        ("head", ("a",), "pieces must be 0 for the read-out 'head', got"),
        ("log_softmax", ("a",), "pieces must be 2 or more for the read-out 'log_softmax', got"),
    ],
)
def test_a_contract_checks_its_answers(read_out, pieces, rule):
    with pytest.raises(InputError, match=rule):
        PromptContract("x", "{query} {document}", read_out, pieces)
