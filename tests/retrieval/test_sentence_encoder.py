"""Bi-encoders in sentence-transformers' layout: vectors and similarities are the library's."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import (
    Dense,
    Dropout,
    LayerNorm,
    Normalize,
    Pooling,
    Router,
    Transformer,
)

from recross.checkpoints.sentence_layout import read_bi_encoder
from recross.errors import InputError
from recross.inference.encoders.pooled import PooledEncoder
from recross.machine.hardware import Hardware
from recross.retrieval.biencoder import BiEncoder
from recross.retrieval.sentence_encoder import LibraryEncoder, load_encoder
from tests.conftest import save_tiny, save_tiny_llama
from tests.inference.encoders.test_modernbert import save_tiny_modernbert

QUERIES = ["red cat", "", "a very white owl and a dog"]
DOCUMENTS = ["here lives a red cat", "an Owl", "white dog and more words " * 30, "bee"]
PROMPTS = {"query": "here lives. ", "document": "a red "}


def save_family(folder: Path, family: str) -> Path:
    """Save a random encoder of a family, with the tokenizer of its kind."""
    if family == "qwen3":
        return save_tiny_llama(folder, kind="Qwen3", head_dim=8)
    if family == "gemma3":
        folder = save_tiny_llama(folder)
        vocabulary = len(transformers.AutoTokenizer.from_pretrained(folder))
        (folder / "model.safetensors").unlink()
        gemma = transformers.Gemma3TextConfig(
            vocab_size=vocabulary,
            hidden_size=32,
            num_hidden_layers=3,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=8,
            intermediate_size=64,
            sliding_window=6,
            layer_types=["sliding_attention", "full_attention", "sliding_attention"],
            use_bidirectional_attention=True,
            initializer_range=0.4,
            pad_token_id=0,
            bos_token_id=1,
            eos_token_id=2,
        )
        torch.manual_seed(2)
        transformers.AutoModel.from_config(gemma).save_pretrained(folder)
        return folder
    if family == "modernbert":
        return save_tiny_modernbert(folder)
    if family in ("bert", "electra", "roberta", "xlm-roberta"):
        return save_tiny(folder, family)
    save_tiny(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    sizes = {"vocab_size": len(tokenizer), "pad_token_id": 0, "max_position_embeddings": 80}
    config = {
        "distilbert": lambda: transformers.DistilBertConfig(
            dim=32, n_layers=2, n_heads=4, hidden_dim=64, initializer_range=0.4, **sizes
        ),
        "nomic_bert": lambda: transformers.NomicBertConfig(
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=64,
            initializer_range=0.4,
            **sizes,
        ),
        "mpnet": lambda: transformers.MPNetConfig(
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=64,
            initializer_range=0.4,
            **sizes | {"pad_token_id": 1},  # its positions begin after this one, whatever is said
        ),
    }[family]()
    torch.manual_seed(2)
    transformers.AutoModel.from_config(config).save_pretrained(folder)
    return folder


def save_sentences(folder: Path, encoder: Path, *modules, limit: int = 40, **more: object) -> str:
    """Save a chain by the library's own classes; its first module reads ``limit`` tokens."""
    transformer = Transformer(str(encoder), max_seq_length=limit)
    chain = [transformer, *(modules or (Pooling(32, "mean"),))]
    model = SentenceTransformer(modules=chain, device="cpu", **more)
    model.max_seq_length = limit
    model.save(str(folder), create_model_card=False)
    settings = folder / "sentence_bert_config.json"
    written = json.loads(settings.read_text())
    settings.write_text(json.dumps(written | {"max_seq_length": limit}))
    return str(folder)


def check_as_library(checkpoint: str, *, packed: bool = True, **chosen: object) -> None:
    """Compare vectors of both sides and similarities with the library's own."""
    theirs = SentenceTransformer(checkpoint, device="cpu", **chosen)
    ours = BiEncoder(checkpoint, **chosen)
    network = load_encoder(checkpoint, ours._contract, Hardware()).network
    assert type(network) is (PooledEncoder if packed else LibraryEncoder)
    queries, documents = ours.encode(QUERIES, "query"), ours.encode(DOCUMENTS, "document")
    their_queries = theirs.encode_query(QUERIES, show_progress_bar=False)
    their_documents = theirs.encode_document(DOCUMENTS, show_progress_bar=False)
    expected = theirs.similarity(their_queries, their_documents).numpy()
    np.testing.assert_allclose(queries @ documents.T, expected, atol=1e-4, rtol=1e-5)
    if theirs.similarity_fn_name == "cosine":
        their_documents = their_documents / np.linalg.norm(their_documents, axis=1, keepdims=True)
    np.testing.assert_allclose(documents, their_documents, atol=1e-4, rtol=1e-5)
    assert np.ptp(expected) > 1e-3


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    return save_family(tmp_path / "encoder", "bert")


@pytest.mark.parametrize("similarity", ["cosine", "dot"])
@pytest.mark.parametrize(
    "family, pooling",
    [
        ("bert", "cls"),
        ("electra", "mean"),
        ("roberta", "mean"),
        ("xlm-roberta", "cls"),
        ("distilbert", "mean"),
        ("mpnet", "mean"),
        ("modernbert", "cls"),
        ("qwen3", "lasttoken"),
        ("gemma3", "mean"),
        ("nomic_bert", "mean"),
    ],
)
def test_every_family_gives_the_librarys_vectors_after_prompts(
    tmp_path, family, pooling, similarity
):
    folder = save_family(tmp_path / family, family)
    checkpoint = save_sentences(
        *(tmp_path / "sentences", folder, Pooling(32, pooling)),
        prompts=PROMPTS,
        similarity_fn_name=similarity,
    )
    check_as_library(checkpoint)


@pytest.mark.parametrize(
    "pooling", ["max", "lasttoken", "weightedmean", "mean_sqrt_len_tokens", ("cls", "mean")]
)
def test_every_pooling_gives_the_librarys_vectors(tmp_path, encoder, pooling):
    layout = save_sentences(tmp_path / "s", encoder, Pooling(32, pooling), similarity_fn_name="dot")
    check_as_library(layout)


def test_projections_and_a_cut_dimension_are_the_librarys(tmp_path, encoder):
    torch.manual_seed(0)
    bare = Dense(24, 16, bias=False, activation_function=torch.nn.GELU())
    projections = (Dense(32, 24, use_residual=True), LayerNorm(24), bare)
    modules = (Pooling(32, "mean"), *projections)
    check_as_library(save_sentences(tmp_path / "raw", encoder, *modules, similarity_fn_name="dot"))
    unit = save_sentences(tmp_path / "unit", encoder, *modules, Normalize())
    check_as_library(unit)
    check_as_library(unit, truncate_dim=5)
    check_as_library(save_sentences(tmp_path / "cut", encoder, truncate_dim=7))


def test_lengths_of_vectors_stay_where_the_similarity_is_their_product(tmp_path, encoder):
    dot = save_sentences(tmp_path / "dot", encoder, similarity_fn_name="dot")
    assert np.ptp(np.linalg.norm(BiEncoder(dot).encode(DOCUMENTS, "document"), axis=1)) > 0.01
    chosen = BiEncoder(dot, similarity="cosine").encode(DOCUMENTS, "document")
    assert np.linalg.norm(chosen, axis=1) == pytest.approx(1, abs=1e-5)
    settings = json.loads((tmp_path / "dot/config_sentence_transformers.json").read_text())
    del settings["similarity_fn_name"]
    (tmp_path / "dot/config_sentence_transformers.json").write_text(json.dumps(settings))
    assert read_bi_encoder(dot).similarity == SentenceTransformer(dot).similarity_fn_name


def test_what_is_not_known_here_goes_through_the_library(tmp_path, encoder):
    modules = (Pooling(32, "mean"), Dropout(0.5))
    checkpoint = save_sentences(tmp_path / "s", encoder, *modules, prompts=PROMPTS)
    check_as_library(checkpoint, packed=False)
    without = Pooling(32, "mean", include_prompt=False)
    checkpoint = save_sentences(tmp_path / "instructor", encoder, without, prompts=PROMPTS)
    check_as_library(checkpoint, packed=False)
    check_as_library(save_sentences(tmp_path / "promptless", encoder, without))


def test_a_bare_encoder_is_pooled_by_its_mean_as_by_the_library(tmp_path, encoder):
    transformers.AutoModel.from_pretrained(encoder).save_pretrained(tmp_path / "bare")
    transformers.AutoTokenizer.from_pretrained(encoder).save_pretrained(tmp_path / "bare")
    check_as_library(str(tmp_path / "bare"))


def test_capitals_are_lowered_where_the_checkpoint_says_so(tmp_path, encoder):
    checkpoint = save_sentences(tmp_path / "s", encoder)
    settings = tmp_path / "s/sentence_bert_config.json"
    settings.write_text(json.dumps({"max_seq_length": 40, "do_lower_case": True}))
    check_as_library(checkpoint)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        text = (tmp_path / "s" / name).read_text()
        text = text.replace('"lowercase": true', '"lowercase": false')
        text = text.replace('"do_lower_case": true', '"do_lower_case": false')
        (tmp_path / "s" / name).write_text(text)
    check_as_library(checkpoint, packed=False)


def test_two_networks_for_two_sides_are_refused(tmp_path, encoder):
    sides = [Transformer(str(encoder)), Pooling(32, "mean")]
    router = Router.for_query_document(sides, sides)
    SentenceTransformer(modules=[router], device="cpu").save(str(tmp_path / "s"))
    with pytest.raises(InputError, match="by one network, got .* which has a Router"):
        BiEncoder(str(tmp_path / "s")).encode(["bee"], "query")


@pytest.mark.parametrize("prefix", ["_orig_mod.", "module.", "model.", "bert."])
def test_weights_of_a_wrapped_encoder_are_found(tmp_path, encoder, prefix):
    checkpoint = save_sentences(tmp_path / "s", encoder)
    expected = BiEncoder(checkpoint).encode(DOCUMENTS, "document")
    weights = load_file(tmp_path / "s/model.safetensors")
    renamed = {prefix + name: value.clone() for name, value in weights.items()}
    save_file(renamed, tmp_path / "s/model.safetensors", metadata={"format": "pt"})
    np.testing.assert_array_equal(BiEncoder(checkpoint).encode(DOCUMENTS, "document"), expected)


@pytest.mark.parametrize("change", ["lost", "added"])
def test_weights_that_are_missing_or_more_than_the_encoder_has_are_refused(
    tmp_path, encoder, change
):
    checkpoint = save_sentences(tmp_path / "s", encoder)
    weights = load_file(tmp_path / "s/model.safetensors")
    name = "encoder.layer.1.output.dense.weight"
    if change == "lost":
        del weights[name]
    else:
        weights["encoder.layer.9.output.dense.weight"] = weights[name].clone()
    save_file(weights, tmp_path / "s/model.safetensors", metadata={"format": "pt"})
    with pytest.raises(
        InputError, match="lacks encoder.layer.1|a BertModel and no others, got enc"
    ):
        BiEncoder(checkpoint).encode(["bee"], "query")


def test_the_limit_is_the_checkpoints_own_unless_another_is_chosen(tmp_path, encoder):
    checkpoint = save_sentences(tmp_path / "s", encoder, limit=12)
    assert read_bi_encoder(checkpoint).max_length == 12
    own, other = (
        BiEncoder(checkpoint, max_length=n).encode(DOCUMENTS, "document") for n in (None, 40)
    )
    changed = np.abs(own - other).max(axis=1) > 1e-3
    assert changed.tolist() == [False, False, True, False]
