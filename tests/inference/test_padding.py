"""Classifiers that read the last token: a score is the pair's own, whatever the padding token is.

The true layout of Llama and Qwen3 re-rankers in classifier form, random and tiny.
"""

import numpy as np
import pytest
import torch
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    LlamaConfig,
    LlamaForSequenceClassification,
)

from recross import load_reranker
from recross.inference.preparation import Preparation
from recross.inference.sequences import by_length
from recross.inference.session import Session
from recross.machine.hardware import Hardware
from tests.conftest import needs_int8, save_tiny

QUERY = "red cat"
DOCUMENTS = [
    "here lives a red cat",
    "here lives a blue dog and more words and more words and more words",
    "a fox",
    "here lives a green owl and more words",
]


def save_decoder(folder, padding):
    save_tiny(folder)  # for its tokenizer
    tokenizer = AutoTokenizer.from_pretrained(folder)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=64,
        initializer_range=0.3,
        num_labels=1,
        pad_token_id=padding,
        bos_token_id=2,
        eos_token_id=3,
    )
    with torch.random.fork_rng():
        torch.manual_seed(1)
        LlamaForSequenceClassification(config).save_pretrained(folder)
    return folder


def one_by_one(folder):
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    scores = []
    for document in DOCUMENTS:
        ids = tokenizer(QUERY, document, return_tensors="pt")["input_ids"]
        with torch.no_grad():
            scores.append(torch.sigmoid(model(input_ids=ids).logits).item())
    return np.array(scores)


@pytest.mark.parametrize("padding", [0, 4, None])
@pytest.mark.parametrize("backend", ["torch", pytest.param("onnx", marks=pytest.mark.ci)])
def test_a_score_is_transformers_own_of_the_pair_alone(tmp_path, padding, backend):
    folder = save_decoder(tmp_path / "decoder", padding)
    expected = one_by_one(folder)
    assert expected.std() > 0.01
    session = Session(Hardware(backend=backend, threads=1), tmp_path / "store")
    reranker = session.over(load_reranker(folder))
    together = reranker.score(QUERY, DOCUMENTS)
    alone = [float(reranker.score(QUERY, [document])[0]) for document in DOCUMENTS]
    np.testing.assert_allclose(together, expected, atol=1e-4)
    np.testing.assert_allclose(alone, expected, atol=1e-4)


@pytest.mark.parametrize("padding", [0, 4, None])
def test_training_reads_what_scoring_reads(tmp_path, padding):
    folder = save_decoder(tmp_path, padding)
    network = load_reranker(folder).network
    items = [(0, number) for number in range(len(DOCUMENTS))]
    sequences = network.encode([QUERY], DOCUMENTS, items)
    order = by_length(sequences.lengths)
    batch = sequences.take(order).on(torch.device("cpu"))
    with torch.no_grad():
        found = torch.sigmoid(network(batch)).numpy()
    np.testing.assert_allclose(found, one_by_one(folder)[order], atol=1e-4)


def test_low_rank_additions_leave_the_head_on_the_last_token_free_to_learn(tmp_path):
    pytest.importorskip("peft")
    network = load_reranker(save_decoder(tmp_path, 4)).network
    network.prepare_training(Preparation(lora_rank=2))
    learning = {name for name, p in network.model.named_parameters() if p.requires_grad}
    assert "score.weight" in learning
    assert all("lora_" in name for name in learning - {"score.weight"})


@needs_int8
def test_eight_bit_weights_keep_the_order_of_a_decoders_scores(tmp_path):
    folder = save_decoder(tmp_path, 4)
    session = Session(Hardware(backend="torch_int8", threads=1), tmp_path / "store")
    found = session.over(load_reranker(folder)).score(QUERY, DOCUMENTS)
    assert np.corrcoef(found, one_by_one(folder))[0, 1] > 0.98
