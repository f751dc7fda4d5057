import pytest
import torch
from scipy import stats
from torch import nn
from transformers import AutoModelForSeq2SeqLM, AutoModelForTokenClassification, T5EncoderModel

from recross.inference.encoders import affine
from recross.inference.encoders.affine import LiveAffine, freeze_affine
from recross.inference.encoders.families import find_classifier, find_encoder
from recross.inference.encoders.t5_decoder import first_step, read_head_rows
from tests.conftest import save_tiny_t5
from tests.inference.encoders.test_bert import assert_gradients_close, random_batch

FORMS = {
    "1.0": {},
    "v1.1": {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False},
    "mt5": {"kind": "mt5", "feed_forward_proj": "gated-gelu"},
}
PIECES = [7, 11, 30]


@pytest.fixture(params=FORMS)
def model(request, tmp_path):
    folder = save_tiny_t5(tmp_path, **FORMS[request.param])
    model = AutoModelForSeq2SeqLM.from_pretrained(folder).eval()
    if request.param == "v1.1":  # transformers ties a fresh head whatever the config says
        drawn = torch.randn(model.lm_head.weight.shape, generator=torch.Generator().manual_seed(2))
        model.lm_head.weight = nn.Parameter(drawn)
    return model


def read(model, batch, make, opening=(), dtype=torch.float32):
    return state(model, batch, make, opening, dtype) @ read_head_rows(model, torch.tensor(PIECES)).T


def state(model, batch, make, opening=(), dtype=torch.float32, dropout=0.0):
    states = find_encoder(model.config).forward(model, make, dtype).states(batch, dropout)
    return first_step(model, states, batch, torch.tensor([0, *opening]), dropout)


def padded(model, batch, opening=()):
    tokens, _, mask = batch.padded(0)
    start = torch.tensor([0, *opening]).expand(len(batch), -1)
    out = model(input_ids=tokens, attention_mask=mask, decoder_input_ids=start)
    return out.logits[:, -1, PIECES]


@pytest.mark.parametrize("opening", [[], [9], [9, 5, 12]])
def test_the_packed_first_step_equals_hugging_faces_padded_one(model, opening):
    batch = random_batch()
    assert find_encoder(model.config).packs
    with torch.inference_mode():
        expected = padded(model, batch, opening)
        for make in (LiveAffine, freeze_affine(torch.float32, 512)):
            found = read(model, batch, make, opening)
            torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_it_equals_the_first_step_of_generate(model):
    batch = random_batch(2)
    tokens, _, mask = batch.padded(0)
    generated = model.generate(
        input_ids=tokens,
        attention_mask=mask,
        max_new_tokens=2,
        do_sample=False,
        output_scores=True,
        return_dict_in_generate=True,
    )
    with torch.inference_mode():
        found = read(model, batch, freeze_affine(torch.float32, 512))
    torch.testing.assert_close(found, generated.scores[0][:, PIECES], atol=1e-4, rtol=0)


@pytest.mark.parametrize("opening", [[], [9, 5]])
def test_its_gradients_equal_the_padded_ones(model, opening):
    batch = random_batch(1)
    weights = torch.linspace(-1, 1, len(batch) * len(PIECES)).view(len(batch), -1)

    def gradients(logits):
        model.zero_grad()
        (logits * weights).sum().backward()
        return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}

    ours = gradients(read(model, batch, LiveAffine, opening))
    assert_gradients_close(ours, gradients(padded(model, batch, opening)))


def test_bf16_keeps_the_order(model):
    batch = random_batch(count=40)
    with torch.inference_mode():
        exact = read(model, batch, freeze_affine(torch.float32, 512))
        rough = read(model, batch, freeze_affine(torch.bfloat16, 512), dtype=torch.bfloat16)
    assert stats.kendalltau(exact[:, 1], rough[:, 1]).statistic > 0.9


def test_without_the_blocked_operators_the_result_is_the_same(model, monkeypatch):
    monkeypatch.setattr(affine, "_has_blocked_linear", lambda: False)
    batch = random_batch()
    with torch.inference_mode():
        found = read(model, batch, freeze_affine(torch.float32, 512))
        torch.testing.assert_close(found, padded(model, batch), atol=1e-4, rtol=0)


def test_an_encoder_alone_gives_its_first_token(tmp_path):
    folder = save_tiny_t5(tmp_path, "encoder")
    model = AutoModelForTokenClassification.from_pretrained(folder).eval()
    batch = random_batch(3)
    tokens, _, mask = batch.padded(0)
    with torch.inference_mode():
        expected = model(input_ids=tokens, attention_mask=mask).logits[:, 0]
        make = freeze_affine(torch.float32, 512)
        found = find_classifier(model).forward(model, make, first_only=True).logits(batch)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_an_encoder_without_any_head_gives_its_first_token(tmp_path):
    model = T5EncoderModel.from_pretrained(save_tiny_t5(tmp_path)).eval()
    batch = random_batch(5)
    tokens, _, mask = batch.padded(0)
    assert find_encoder(model.config).packs
    with torch.inference_mode():
        expected = model(input_ids=tokens, attention_mask=mask).last_hidden_state[:, 0]
        make = freeze_affine(torch.float32, 512)
        forward = find_encoder(model.config).forward(model, make, first_only=True)
        found = forward.first_states(batch)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_dropout_changes_training_passes_only(model):
    batch = random_batch(4)
    torch.manual_seed(0)
    first, second = (state(model, batch, LiveAffine, dropout=0.3) for _ in range(2))
    assert (first - second).abs().max() > 1e-3
    first, second = (state(model, batch, LiveAffine) for _ in range(2))
    assert torch.equal(first, second)


def test_another_architecture_is_not_claimed_to_be_supported(tmp_path):
    folder = save_tiny_t5(tmp_path, feed_forward_proj="silu")
    assert not find_encoder(AutoModelForSeq2SeqLM.from_pretrained(folder).config).packs
