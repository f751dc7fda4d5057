"""Weights of terms: those of the model's own output, and of sentence-transformers."""

import json

import numpy as np
import pytest
import torch
import transformers
from sentence_transformers import SparseEncoder as Peer
from sentence_transformers.base.modules import Router
from sentence_transformers.sparse_encoder import modules

from recross.checkpoints.first_stage_contracts import SparseContract
from recross.checkpoints.sparse_layout import read_sparse_encoder
from recross.errors import InputError
from recross.machine.hardware import Hardware
from recross.retrieval.sparse_encoder import load_sparse_encoder
from recross.retrieval.splade import SPLADE
from tests.conftest import save_tiny
from tests.retrieval.test_splade import TEXTS, weigh_slowly

PROMPTS = {"query": "here lives ", "document": "a red"}


def save_masked_lm(folder, kind="bert"):
    """Save a random masked language model with a tokenizer."""
    save_tiny(folder)
    config = transformers.AutoConfig.from_pretrained(folder)
    if kind == "distilbert":
        sizes = {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64, "initializer_range": 0.4}
        config = transformers.DistilBertConfig(
            vocab_size=config.vocab_size, max_position_embeddings=80, **sizes
        )
    torch.manual_seed(2)
    transformers.AutoModelForMaskedLM.from_config(config).save_pretrained(folder)
    return str(folder)


def save_splade(folder, masked_lm, limit=40, pooling=("max", "relu"), **more):
    transformer = modules.MLMTransformer(masked_lm)
    peer = Peer(modules=[transformer, modules.SpladePooling(*pooling)], device="cpu", **more)
    peer.max_seq_length = limit
    peer.save(str(folder), create_model_card=False)
    return str(folder)


@pytest.fixture(scope="module")
def masked_lm(tmp_path_factory):
    return save_masked_lm(tmp_path_factory.mktemp("splade") / "bert")


def test_weights_are_the_highest_over_a_texts_own_tokens(masked_lm):
    encoder = load_sparse_encoder(masked_lm, SparseContract("x"), Hardware(tokens_per_batch=32))
    found, lengths, lost = encoder.encode(TEXTS, 64)
    expected = np.stack([weigh_slowly(masked_lm, text) for text in TEXTS])
    assert found.toarray() == pytest.approx(expected, abs=1e-5)
    assert (expected == 0).any() and (expected > 0).any()
    assert (found[[0]].toarray() == found[[3]].toarray()).all()
    assert (lengths.tolist(), lost.tolist()) == ([4, 13, 3, 4], [0] * 4)
    assert encoder.encode(TEXTS, 4).lost.tolist() == [0, 9, 0, 0]


@pytest.mark.parametrize("kind", ["bert", "distilbert"])
@pytest.mark.parametrize("activation", ["relu", "log1p_relu"])
@pytest.mark.parametrize("pooling", ["max", "sum"])
def test_both_sides_are_weighed_as_the_library_does(tmp_path, kind, pooling, activation):
    masked_lm = save_masked_lm(tmp_path / kind, kind)
    more = {"prompts": PROMPTS, "max_active_dims": 20 if activation == "relu" else None}
    checkpoint = save_splade(tmp_path / "s", masked_lm, 8, (pooling, activation), **more)
    peer, ours = Peer(checkpoint, device="cpu"), SPLADE(checkpoint)
    assert peer.max_seq_length == read_sparse_encoder(checkpoint).max_length == 8
    for encode, weigh in (
        (peer.encode_query, ours._weigh_queries),
        (peer.encode_document, ours._weigh_documents),
    ):
        expected = encode(TEXTS, convert_to_sparse_tensor=False).numpy()
        np.testing.assert_allclose(weigh(TEXTS).weights.toarray(), expected, atol=1e-4)
    assert abs(peer.encode_query("dog") - peer.encode_document("dog")).to_dense().max() > 0.01


def test_a_bare_masked_language_model_is_read_as_by_the_library(masked_lm):
    expected = Peer(masked_lm, device="cpu").encode(TEXTS, convert_to_sparse_tensor=False).numpy()
    found = SPLADE(masked_lm)._weigh_documents(TEXTS).weights.toarray()
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_other_modules_and_similarities_are_refused(tmp_path, masked_lm):
    tokenizer = transformers.AutoTokenizer.from_pretrained(masked_lm)
    document = [modules.MLMTransformer(masked_lm), modules.SpladePooling()]
    router = Router.for_query_document([modules.SparseStaticEmbedding(tokenizer)], document)
    Peer(modules=[router], device="cpu").save(str(tmp_path / "router"), create_model_card=False)
    with pytest.raises(InputError, match="by one network, got .* which has a Router"):
        read_sparse_encoder(str(tmp_path / "router"))
    checkpoint = save_splade(tmp_path / "s", masked_lm)
    settings = tmp_path / "s/config_sentence_transformers.json"
    settings.write_text(json.dumps({"similarity_fn_name": "cosine"}))
    with pytest.raises(InputError, match="sparse encoder must be dot, got 'cosine'"):
        read_sparse_encoder(checkpoint)
    (tmp_path / "s/modules.json").write_text(
        json.dumps([{"type": "sentence_transformers.models.Transformer", "path": ""}])
    )
    with pytest.raises(InputError, match="with a SpladePooling, got .* which has Transformer"):
        read_sparse_encoder(checkpoint)
