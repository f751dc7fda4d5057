"""Classifiers of families with a peculiarity of their own: long XLM-R, DeBERTa, ALBERT."""

import json

import numpy as np
import pytest
import torch
from transformers import (
    AlbertConfig,
    AlbertForSequenceClassification,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DebertaConfig,
    DebertaForSequenceClassification,
    DebertaV2Config,
    DebertaV2ForSequenceClassification,
)

from recross import load_reranker
from recross.checkpoints.contracts import ClassifierContract
from recross.errors import InputError
from recross.inference.session import Session
from recross.machine.hardware import Hardware
from recross.rerankers.cross_encoder import CrossEncoder
from tests.conftest import save_tiny
from tests.inference.test_gpu_dtypes import batch_of
from tests.rerankers.test_cross_encoder import mixed_pairs, peer_scores

SIZES = {
    **{"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_labels": 1},
    **{"intermediate_size": 48, "max_position_embeddings": 80, "initializer_range": 0.3},
    **{"pad_token_id": 0, "type_vocab_size": 0},
}
DISENTANGLED = {"relative_attention": True, "pos_att_type": ["p2c", "c2p"]}
AS_MXBAI_V1 = DISENTANGLED | {
    **{"position_biased_input": False, "share_att_key": True, "norm_rel_ebd": "layer_norm"},
    **{"position_buckets": 16, "pooler_hidden_size": 32, "pooler_dropout": 0},
}
MODELS = {
    "deberta-v3": (DebertaV2ForSequenceClassification, DebertaV2Config, AS_MXBAI_V1),
    "deberta-v2-segments": (
        DebertaV2ForSequenceClassification,
        DebertaV2Config,
        AS_MXBAI_V1 | {"type_vocab_size": 2, "position_biased_input": True},
    ),
    "deberta": (DebertaForSequenceClassification, DebertaConfig, DISENTANGLED),
    "albert": (
        AlbertForSequenceClassification,
        AlbertConfig,
        {"type_vocab_size": 2, "embedding_size": 16, "num_hidden_groups": 1},
    ),
}


@pytest.fixture(params=MODELS)
def folder(request, tmp_path):
    """A random checkpoint, with a tokenizer that gives both texts' segments."""
    save_tiny(tmp_path)  # for its tokenizer
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    model, config, own = MODELS[request.param]
    with torch.random.fork_rng():
        torch.manual_seed(2)
        model(config(**SIZES | own, vocab_size=len(tokenizer))).save_pretrained(tmp_path)
    settings = tmp_path / "tokenizer_config.json"
    known = json.loads(settings.read_text()) | {"tokenizer_class": "PreTrainedTokenizerFast"}
    known["model_input_names"] = ["input_ids", "token_type_ids", "attention_mask"]
    settings.write_text(json.dumps(known))
    return tmp_path


def test_scores_equal_those_of_sentence_transformers(folder):
    pairs = mixed_pairs(60)
    expected = peer_scores(folder, pairs)
    assert expected.std() > 0.01
    for budget in (1, 300, 100_000):
        reranker = load_reranker(folder, hardware=Hardware(tokens_per_batch=budget))
        np.testing.assert_allclose(reranker.predict(pairs), expected, atol=1e-4)


def test_they_learn_by_the_gradients_of_each_pair_alone(folder):
    network = CrossEncoder(str(folder), max_length=48).network
    model, batch = network.model, batch_of(network)

    def gradients(scores):
        model.zero_grad()
        (scores * torch.linspace(-1, 2, len(scores))).sum().backward()
        found = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
        return torch.cat([found[name].flatten() for name in sorted(found)])

    ends = [*batch.starts.tolist()[1:], len(batch.tokens)]
    alone = [
        model(
            input_ids=batch.tokens[start:end][None], token_type_ids=batch.segments[start:end][None]
        ).logits[0, 0]
        for start, end in zip(batch.starts.tolist(), ends, strict=True)
    ]
    expected, found = gradients(torch.stack(alone)), gradients(network(batch))
    torch.testing.assert_close(found, expected, atol=1e-4 * float(expected.abs().max()), rtol=0)


def test_bf16_stays_near_or_is_refused(folder):
    network = CrossEncoder(str(folder), max_length=48).network
    batch = batch_of(network)
    if network.model.config.model_type == "deberta":  # its own forward fails
        with pytest.raises(InputError, match="hardware.precision must be fp32 .* got 'bf16'"):
            network.inference(Session(Hardware(precision="bf16")))
        return
    with torch.inference_mode():
        exact = network.inference(Session(Hardware()))(batch)
        rough = network.inference(Session(Hardware(precision="bf16")))(batch)
    assert rough.dtype == torch.float32
    assert np.corrcoef(exact, rough)[0, 1] > 0.99


@pytest.fixture
def long_xlm_roberta(tmp_path):
    """As long as bge-reranker-v2-m3: 8,194 rows of positions, of which two are never used."""
    sizes = {"num_hidden_layers": 1, "hidden_size": 16, "type_vocab_size": 1}
    return save_tiny(tmp_path, "xlm-roberta", max_position_embeddings=8194, pad_token_id=1, **sizes)


def test_a_text_of_8192_tokens_is_scored_whole_and_no_longer_one_is_allowed(long_xlm_roberta):
    document = " ".join(["red", "cat", "blue", "owl"] * 2500)
    reranker = CrossEncoder(str(long_xlm_roberta), max_length=8192)
    tokens = reranker.network.encode(["red cat"], [document], [(0, 0)])
    assert len(tokens.tokens) == 8192
    model = AutoModelForSequenceClassification.from_pretrained(long_xlm_roberta).eval()
    with torch.inference_mode():
        expected = model(torch.from_numpy(tokens.tokens)[None]).logits.sigmoid().item()
    assert reranker.score("red cat", [document])[0] == pytest.approx(expected, abs=1e-4)
    with pytest.raises(InputError, match="max_length must not exceed the 8192 positions of the XL"):
        _ = CrossEncoder(str(long_xlm_roberta), max_length=8193).network


@pytest.mark.parametrize(
    ("said", "limit"), [(512, 512), (8192, 8192), (10**30, 8192)], ids=["512", "8192", "nothing"]
)
def test_without_a_contract_the_tokenizer_says_the_limit_up_to_the_positions(
    said, limit, long_xlm_roberta
):
    tokenizer = AutoTokenizer.from_pretrained(long_xlm_roberta)
    tokenizer.model_max_length = said
    tokenizer.save_pretrained(long_xlm_roberta)
    assert load_reranker(long_xlm_roberta).network.contract.max_length == limit
    contract = ClassifierContract("own", max_length=8192)
    longer = CrossEncoder(str(long_xlm_roberta), contract=contract).network
    document = " ".join(["red"] * 9000)
    assert len(longer.encode(["cat"], [document], [(0, 0)]).tokens) == 8192
