"""A score does not depend on what stands beside it in a batch: every network, family, back-end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

from recross import load_reranker
from recross.checkpoints.contracts import T5_FAMILIES, ClassifierContract
from recross.checkpoints.sentence_layout import read_bi_encoder
from recross.checkpoints.sparse_layout import read_sparse_encoder
from recross.command.loading import RERANKERS
from recross.errors import InputError
from recross.inference.encoders.families import FAMILIES
from recross.inference.sequences import by_length
from recross.inference.session import Session
from recross.inference.texts.texts import GivenTexts
from recross.machine.hardware import Hardware
from recross.rerankers.causal import CausalReranker
from recross.rerankers.comparing.duo import DuoBERT, DuoT5
from recross.rerankers.cross_encoder import CrossEncoder
from recross.rerankers.dual_encoder import DualEncoder
from recross.rerankers.generative.local_generator import LocalGenerator
from recross.rerankers.late_interaction.late_interaction import LateInteraction
from recross.rerankers.t5 import T5Reranker
from recross.retrieval.sentence_encoder import load_encoder
from recross.retrieval.sparse_encoder import load_sparse_encoder
from tests.conftest import needs_int8, save_tiny, save_tiny_llama, save_tiny_t5
from tests.odd_inputs.tiny_checkpoints import (
    save_late,
    save_multi_vector,
    save_sentences,
    save_splade,
)

QUERY = "red cat"
DOCUMENTS = [
    "here lives a red cat",
    "here lives a blue dog " + "and more words " * 5,
    "owl",
    "here lives a green owl and more words",
    "a fox and more words",
]
SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 128,
    "head_dim": 16,
    "embedding_size": 32,
    "num_labels": 1,
    "pad_token_id": 0,
    "bos_token_id": 2,
    "eos_token_id": 3,
    "cls_token_id": 2,
    "sep_token_id": 3,
}
OWN_SIZES: dict[str, dict[str, object]] = {
    "distilbert": {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64},
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 2},
    "xlm": {"emb_dim": 32, "n_layers": 2, "n_heads": 2},
}
READS_PADDING = ("convbert", "fnet", "mobilebert", "nystromformer")
"""Their own forward lets padding change a score, so that it has none."""
PADDED = ("albert", "big_bird", "deberta", "deberta-v2", "ernie", "gpt2", "phi3", "roformer", "xlm")
PACKED = tuple(family for family in FAMILIES if family not in T5_FAMILIES)


def save_classifier(folder: Path, family: str, **more: object) -> Path:
    """Save a random classifier of a family, with a vocabulary that its tokenizer knows."""
    if family == "qwen2":
        return save_tiny_llama(folder, head=True, kind="Qwen2", vocab_size=400)
    save_tiny(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    (folder / "vocab.txt").unlink()
    sizes = {**SIZES, **OWN_SIZES.get(family, {}), "vocab_size": len(tokenizer), **more}
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = AutoModelForSequenceClassification.from_config(
            AutoConfig.for_model(family, **sizes)
        )
        for weights in model.parameters():
            if weights.ndim > 1:
                nn.init.normal_(weights, std=0.3)
    model.save_pretrained(folder)
    backend = tokenizer.backend_tokenizer
    path = folder / "tokenizer_config.json"
    path.write_text(path.read_text().replace('"BertTokenizer"', '"PreTrainedTokenizerFast"'))
    backend.save(str(folder / "tokenizer.json"))
    return folder


def score_in_batches(folder: Path, store: Path, **hardware: object) -> None:
    """Scores in batches of several sizes and orders are those of each pair alone."""
    reranker = load_reranker(folder)
    found = []
    for tokens in (1, 24, 4096):
        target = Hardware(threads=1, tokens_per_batch=tokens, **hardware)
        session = Session(target, store)
        found.append(session.over(reranker).score(QUERY, DOCUMENTS))
        backwards = session.over(reranker).score(QUERY, DOCUMENTS[::-1])
        found.append(np.asarray(backwards)[::-1])
    alone = [float(session.over(reranker).score(QUERY, [one])[0]) for one in DOCUMENTS]
    assert np.std(alone) > 1e-3
    for scores in found:
        np.testing.assert_allclose(scores, alone, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("family", [*PACKED, *PADDED, *READS_PADDING])
def test_classifiers_of_every_family(tmp_path, family):
    score_in_batches(save_classifier(tmp_path / "model", family), tmp_path / "store")


@pytest.mark.parametrize("family", ["llama", "gpt2", "phi3"])
def test_causal_classifiers_that_know_no_padding(tmp_path, family):
    folder = save_classifier(tmp_path / "model", family, pad_token_id=None)
    score_in_batches(folder, tmp_path / "store")


@needs_int8
@pytest.mark.parametrize("family", PACKED)
def test_eight_bit_weights(tmp_path, family):
    folder = save_classifier(tmp_path / "model", family)
    reranker = load_reranker(folder)
    session = Session(Hardware(threads=1, backend="torch_int8"), tmp_path / "store")
    together = session.over(reranker).score(QUERY, DOCUMENTS)
    alone = [float(session.over(reranker).score(QUERY, [one])[0]) for one in DOCUMENTS]
    np.testing.assert_allclose(together, alone, atol=1e-4, rtol=1e-4)


@pytest.mark.ci
@pytest.mark.parametrize("family", ["bert", "gpt2", "albert", "llama"])
def test_an_exported_graph(tmp_path, family):
    folder = save_classifier(tmp_path / "model", family)
    score_in_batches(folder, tmp_path / "store", backend="onnx")


@pytest.mark.parametrize("backend", ["onnx", "torch_compile"])
def test_a_back_end_that_pads_is_refused_where_padding_is_read(tmp_path, backend):
    reranker = load_reranker(save_classifier(tmp_path / "model", "mobilebert"))
    session = Session(Hardware(threads=1, backend=backend), tmp_path / "store")
    with pytest.raises(InputError, match=f"backend {backend} needs .* do not depend on padding"):
        session.over(reranker).score(QUERY, DOCUMENTS)


def save_causal_head(folder):
    return save_tiny_llama(folder, head=True)


def save_t5_encoder(folder):
    return save_tiny_t5(folder, "encoder")


NETWORKS = {
    "classifier": (save_tiny, lambda at: CrossEncoder(at)),
    "classifier of two documents": (
        save_tiny,
        lambda at: DuoBERT(at, contract=ClassifierContract("duo", max_length=64, documents=2)),
    ),
    "T5": (save_tiny_t5, lambda at: T5Reranker(at, contract="monot5")),
    "T5 of another attention": (
        lambda folder: save_tiny_t5(folder, "mt5"),
        lambda at: T5Reranker(at, contract="monot5"),
    ),
    "T5 with a head": (save_t5_encoder, lambda at: T5Reranker(at, contract="rankt5-encoder")),
    "T5 of two documents": (save_tiny_t5, lambda at: DuoT5(at, contract="duot5")),
    "causal": (
        save_tiny_llama,
        lambda at: CausalReranker(at, contract="qwen3-reranker", max_length=400),
    ),
    "causal with a head": (save_causal_head, lambda at: CausalReranker(at, contract="rankllama")),
    "late interaction": (save_late, lambda at: LateInteraction(at, contract="colbertv2")),
    "multi-vector": (save_multi_vector, lambda at: LateInteraction(at)),
    "bi-encoder": (save_sentences, lambda at: DualEncoder(at)),
}


def test_every_reranker_with_a_network_is_tried(tmp_path):
    tried = {type(make(str(tmp_path))) for _, make in NETWORKS.values()}
    assert tried == set(RERANKERS.values())


@pytest.mark.parametrize("kind", NETWORKS)
def test_networks_of_every_kind(tmp_path, kind):
    save, make = NETWORKS[kind]
    save(tmp_path / "model")
    network = make(str(tmp_path / "model")).load()
    numbers = range(len(DOCUMENTS))
    items = [(0, n, (n + 1) % len(DOCUMENTS))[: 1 + network.documents_per_item] for n in numbers]
    sequences = network.encode([QUERY], DOCUMENTS, items)
    device = torch.device("cpu")
    scorer = network.inference(Session(Hardware(threads=1), tmp_path / "store"))
    order = by_length(sequences.lengths)
    with torch.inference_mode():
        together = scorer(sequences.take(order).on(device)).numpy()
        alone = np.array([scorer(sequences.take([row]).on(device)).item() for row in order])
    assert np.std(alone) > 1e-4
    np.testing.assert_allclose(together, alone, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("tokens", [1, 24, 4096])
def test_vectors_and_weights_of_first_stages(tmp_path, tokens):
    hardware = Hardware(threads=1, tokens_per_batch=tokens)
    save_sentences(tmp_path / "sentences")
    save_splade(tmp_path / "splade")
    at, sparse = str(tmp_path / "sentences"), str(tmp_path / "splade")
    encoder = load_encoder(at, read_bi_encoder(at), hardware)
    weigher = load_sparse_encoder(sparse, read_sparse_encoder(sparse), hardware)
    found = np.zeros((len(DOCUMENTS), 32), np.float32)
    for batch in encoder.encode(GivenTexts(DOCUMENTS), ""):
        found[batch.numbers] = batch.vectors
    weights = weigher.encode(DOCUMENTS, 32).weights.toarray()
    for number, document in enumerate(DOCUMENTS):
        (one,) = encoder.encode(GivenTexts([document]), "")
        np.testing.assert_allclose(found[number], one.vectors[0], atol=1e-5)
        alone = weigher.encode([document], 32).weights.toarray()[0]
        np.testing.assert_allclose(weights[number], alone, atol=1e-4)


@pytest.mark.parametrize("kind", ["Llama", "GPTNeoX"])
def test_what_a_generator_reads_and_writes(tmp_path, kind):
    folder = str(save_tiny_llama(tmp_path / "model", kind=kind))
    conversations = [({"role": "user", "content": document},) for document in DOCUMENTS]
    generator = LocalGenerator(folder, hardware=Hardware(threads=1))
    together, _ = generator.read_labels(conversations, ["yes", "no"])
    said, _ = generator.generate(conversations, 4)
    for number, conversation in enumerate(conversations):
        alone, _ = generator.read_labels([conversation], ["yes", "no"])
        np.testing.assert_allclose(together[number], alone[0], atol=1e-4)
        assert said[number] == generator.generate([conversation], 4)[0][0]
