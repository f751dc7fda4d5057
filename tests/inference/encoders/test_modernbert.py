"""ModernBERT without padding: windows that bind, angles of both kinds, heads of both poolings."""

import json

import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
from transformers import AutoModelForSequenceClassification, AutoTokenizer, ModernBertConfig
from transformers import ModernBertForSequenceClassification as ModernBert

from recross.command.cli import main
from recross.inference.batches import PackedBatch
from recross.inference.encoders.affine import LiveAffine, freeze_affine
from recross.inference.encoders.families import find_classifier, find_encoder
from recross.retrieval.biencoder import BiEncoder
from tests.conftest import save_tiny
from tests.inference.encoders.test_bert import assert_gradients_close, random_batch


def save_tiny_modernbert(folder, pooling="cls", **more):
    """A random ModernBERT: the first and last layers see all, the two between 4 tokens around."""
    save_tiny(folder)  # its tokenizer
    config = ModernBertConfig(
        **{
            **{"vocab_size": len(AutoTokenizer.from_pretrained(folder)), "hidden_size": 32},
            **{"num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 48},
            **{"max_position_embeddings": 80, "local_attention": 8, "num_labels": 1},
            **{"pad_token_id": 0, "cls_token_id": 2, "bos_token_id": 2},
            **{"sep_token_id": 3, "eos_token_id": 3, "classifier_pooling": pooling},
            **more,
        }
    )
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = ModernBert(config)
        for parameter in model.parameters():
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(folder)
    settings = folder / "tokenizer_config.json"
    known = json.loads(settings.read_text()) | {"tokenizer_class": "PreTrainedTokenizerFast"}
    settings.write_text(json.dumps(known))
    return folder


@pytest.fixture(params=["cls", "mean"])
def model(request, tmp_path):
    folder = save_tiny_modernbert(tmp_path, request.param, num_labels=2)
    return AutoModelForSequenceClassification.from_pretrained(folder).eval()


def padded_logits(model, batch):
    tokens, _, mask = batch.padded(0)
    return model(input_ids=tokens, attention_mask=mask).logits


def packed_logits(model, batch, make, dtype=torch.float32, **settings):
    family = find_classifier(model)
    assert family.packs
    return family.forward(model, make, dtype, first_only=True, **settings).logits(batch)


def test_its_logits_equal_hugging_faces(model):
    batch = random_batch()
    assert batch.groups[0][1] > 2 * model.config.sliding_window  # windows bind
    with torch.inference_mode():
        expected = padded_logits(model, batch)
        for make in (freeze_affine(torch.float32, 512), LiveAffine):
            found = packed_logits(model, batch, make)
            torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-5)


def test_its_first_layers_alone_equal_hugging_faces(tmp_path):
    folder = save_tiny_modernbert(tmp_path)
    cut = AutoModelForSequenceClassification.from_pretrained(folder, num_hidden_layers=2).eval()
    assert cut.config.layer_types[1] != cut.config.layer_types[-1]  # the last left is no last one
    batch = random_batch()
    with torch.inference_mode():
        found = packed_logits(cut, batch, LiveAffine)
        torch.testing.assert_close(found, padded_logits(cut, batch), atol=1e-4, rtol=1e-5)


def test_every_token_of_it_equals_hugging_faces(model):
    batch = random_batch()
    tokens, _, mask = batch.padded(0)
    with torch.inference_mode():
        expected = model.model(input_ids=tokens, attention_mask=mask).last_hidden_state
        forward = find_encoder(model.config).forward(model.model, LiveAffine)
        torch.testing.assert_close(forward.states(batch), expected[mask.bool()], atol=1e-4, rtol=0)
        first = forward.first_states(batch)
        torch.testing.assert_close(first, expected[:, 0], atol=1e-4, rtol=0)


@pytest.mark.parametrize("recompute", [False, True])
def test_its_gradients_equal_the_padded_ones(model, recompute):
    batch = random_batch(1)
    weights = torch.linspace(-1, 1, len(batch))[:, None]

    def gradients(found):
        model.zero_grad()
        (found * weights).sum().backward()
        return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}

    ours = packed_logits(model, batch, LiveAffine, recompute=recompute)
    assert_gradients_close(gradients(ours), gradients(padded_logits(model, batch)))


def test_a_window_and_angles_that_are_left_out_change_it(model):
    batch = random_batch()
    with torch.inference_mode():
        expected = packed_logits(model, batch, LiveAffine)
        model.config.local_attention = 1000
        wide = packed_logits(model, batch, LiveAffine)
        still = PackedBatch(
            batch.tokens, batch.segments, 0 * batch.positions, batch.starts, batch.layout
        )
        unturned = packed_logits(model, still, LiveAffine)
    assert (wide - expected).abs().max() > 1e-3
    assert (unturned - wide).abs().max() > 1e-3


def test_bf16_stays_near(model):
    batch = random_batch(count=40)
    with torch.inference_mode():
        exact = packed_logits(model, batch, LiveAffine)
        make = freeze_affine(torch.bfloat16, 512)
        rough = packed_logits(model, batch, make, torch.bfloat16)
    assert rough.dtype == torch.float32
    spread = float(exact.std())
    torch.testing.assert_close(rough, exact, atol=0.2 * spread, rtol=0)


def test_angles_that_are_scaled_are_left_to_the_models_own_forward():
    scaled = {"rope_type": "linear", "factor": 2.0, "rope_theta": 10_000.0}
    config = ModernBertConfig(
        rope_parameters={"full_attention": dict(scaled), "sliding_attention": dict(scaled)}
    )
    assert not find_encoder(config).packs


def test_it_is_trained_and_scores(beir_folder, tmp_path):
    folder = save_tiny_modernbert(tmp_path / "checkpoint")
    words = [
        *("run", "reranker=cross_encoder", f"reranker.checkpoint={folder}", "retriever=bm25"),
        *("collection=files", f"collection.folder={beir_folder}", "negatives=random"),
        *("training=smoke", "training.dropout=0.1", "training.gradient_checkpointing=true"),
        *("depth=5", "latency_queries=0", "interpolate=false", f"output={tmp_path}", "name=cell"),
    ]
    assert main(words) == 0
    done = json.loads((tmp_path / "scratch" / "cell" / "seed=0" / "result.json").read_text())
    assert (done["status"], done["training"]["steps"]) == ("done", 2)
    assert done["attention"] == ["without padding, by groups of equal length"]


def test_as_a_bi_encoder_it_gives_the_vectors_of_sentence_transformers(tmp_path):
    folder = save_tiny_modernbert(tmp_path / "checkpoint")
    transformer = Transformer(str(folder), max_seq_length=64)
    theirs = SentenceTransformer(modules=[transformer, Pooling(32, "mean")], device="cpu")
    theirs.save(str(tmp_path / "sentences"))
    texts = ["a red cat", "here lives a blue dog and more words " * 4, "cat"]
    ours = BiEncoder(str(tmp_path / "sentences"), max_length=64).encode(texts, "document")
    expected = theirs.encode(texts, normalize_embeddings=True)
    torch.testing.assert_close(torch.tensor(ours), torch.tensor(expected), atol=1e-4, rtol=0)
