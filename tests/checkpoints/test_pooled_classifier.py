"""The head over the cosine of query and document: what it computes, and what it leaves behind."""

import json
import random

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from recross import load_reranker
from recross.checkpoints.pooled_classifier import FIRST_SCALE
from recross.errors import InputError
from recross.inference.texts.texts import GivenTexts
from recross.machine.hardware import Hardware
from recross.rerankers.comparing.duo import DuoBERT
from recross.rerankers.cross_encoder import CrossEncoder
from tests.conftest import save_tiny

WORDS = ["here", "lives", "a", "red", "blue", "cat", "dog", "owl", "and", "more", "zebra"]


def draw_pairs(count: int) -> list[tuple[str, str]]:
    draw = random.Random(7)
    return [
        (" ".join(draw.choices(WORDS, k=draw.randint(1, 6))), " ".join(draw.choices(WORDS, k=n)))
        for n in (draw.randint(1, 30) for _ in range(count))
    ]


def start(folder, **more) -> CrossEncoder:
    """One with a new head, told that it was trained: it may score."""
    new = CrossEncoder(str(folder), fresh_head=True, head="span_cosine", max_length=32, **more)
    new.network.head_is_fresh = False
    return new


def test_a_new_head_is_the_scaled_cosine_of_the_two_segments_means(tmp_path):
    folder = save_tiny(tmp_path / "tiny")
    model, tokenizer = (
        AutoModel.from_pretrained(folder).eval(),
        AutoTokenizer.from_pretrained(folder),
    )
    pairs = draw_pairs(20)
    expected = []
    for query, document in pairs:
        read = tokenizer(
            query, document, truncation="only_second", max_length=32, return_tensors="pt"
        )
        segments = read.pop("token_type_ids")[0]
        with torch.no_grad():  # every token in the first segment, as a bi-encoder reads it
            states = model(**read, token_type_ids=torch.zeros_like(segments)[None])[0][0]
        query_mean, document_mean = states[segments == 0].mean(0), states[segments == 1].mean(0)
        expected.append(
            FIRST_SCALE
            * float(query_mean @ document_mean / query_mean.norm() / document_mean.norm())
        )
    found = start(folder).predict(pairs)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_packed_padded_and_saved_scores_are_the_same(tmp_path):
    folder, pairs = save_tiny(tmp_path / "tiny"), draw_pairs(60)
    reranker = start(folder, hardware=Hardware(tokens_per_batch=200))
    network = reranker.network
    with torch.no_grad():
        weight = network.model.head[0].linear.weight
        weight += 0.1 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(0))
    packed = reranker.predict(pairs)
    read = network.tokenizer(
        *zip(*pairs, strict=True),
        padding=True,
        truncation="only_second",
        max_length=32,
        return_tensors="pt",
    )
    with torch.no_grad():
        padded = network.model(**read).logits[:, 0].numpy()
    np.testing.assert_allclose(packed, padded, atol=1e-4)
    network.save(tmp_path / "saved")
    np.testing.assert_allclose(load_reranker(tmp_path / "saved").predict(pairs), packed, atol=1e-5)


def test_a_saved_one_is_no_encoder_that_sentence_transformers_would_read_otherwise(tmp_path):
    from sentence_transformers import CrossEncoder as Peer

    start(save_tiny(tmp_path / "tiny")).network.save(tmp_path / "saved")
    pooling = json.loads((tmp_path / "saved" / "1_Pooling" / "config.json").read_text())
    assert pooling["pooling_mode"] == "span_cosine"
    with pytest.raises(ValueError, match="span_cosine"):
        Peer(str(tmp_path / "saved"), device="cpu")


def test_every_weight_of_the_network_can_learn(tmp_path):
    network = start(save_tiny(tmp_path / "tiny")).network.train()
    with torch.no_grad():  # or the first token's state has no part in the score yet
        network.model.head[0].linear.weight += 0.1
    queries, documents = GivenTexts(["red cat", "owl"]), GivenTexts(["a red cat lives here", "a"])
    sequences = network.encode_texts(queries, documents, np.array([[0, 0], [1, 1]]))
    network(sequences.on(torch.device("cpu"))).sum().backward()
    without = [name for name, weight in network.named_parameters() if weight.grad is None]
    assert without == []


@pytest.mark.parametrize("kind, fresh", [(CrossEncoder, False), (DuoBERT, True)])
def test_a_head_that_is_read_or_compares_cannot_read_spans(tiny_bert, kind, fresh):
    with pytest.raises(InputError, match="head=span_cosine must be a fresh head"):
        kind(str(tiny_bert), head="span_cosine", fresh_head=fresh)


def test_a_tokenizer_without_a_second_segment_is_refused(tmp_path):
    folder = save_tiny(tmp_path / "tiny")
    rules = json.loads((folder / "tokenizer.json").read_text())
    for piece in rules["post_processor"]["pair"]:
        next(iter(piece.values()))["type_id"] = 0
    (folder / "tokenizer.json").write_text(json.dumps(rules))
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    settings["tokenizer_class"] = "PreTrainedTokenizerFast"
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    with pytest.raises(InputError, match="a segment for queries and one for documents"):
        _ = start(folder).network
