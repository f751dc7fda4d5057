"""DistilBERT and MPNet without padding equal transformers' own forward, their heads included."""

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification

from recross.inference.encoders.affine import LiveAffine, freeze_affine
from recross.inference.encoders.families import find_classifier, find_encoder
from recross.inference.encoders.poolings import pool
from tests.inference.encoders.test_bert import assert_gradients_close, random_batch
from tests.inference.encoders.test_families import tiny

KINDS = ["distilbert", "mpnet"]
COUNTS = [1, 2, 7, 130]


@pytest.fixture(params=KINDS)
def model(request):
    return tiny(request.param)


def padded(model, batch, of):
    """What a model of transformers makes of padded sequences; token 1 is MPNet's padding."""
    tokens, _, mask = batch.padded(1 if model.config.model_type == "mpnet" else 0)
    return of(input_ids=tokens, attention_mask=mask)


def packed(model, make, dtype=torch.float32, **settings):
    family = find_classifier(model)
    assert family.packs
    return family.forward(model, make, dtype, **settings)


@pytest.mark.parametrize("count", COUNTS)
def test_logits_equal_those_of_the_padded_forward(model, count):
    batch = random_batch(count, count)
    with torch.inference_mode():
        expected = padded(model, batch, model).logits
        for make in (freeze_affine(torch.float32, 512), LiveAffine):
            found = packed(model, make, first_only=True).logits(batch)
            torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_every_token_and_both_poolings_equal_those_of_the_padded_forward(model):
    batch = random_batch(3, 40)
    with torch.inference_mode():
        states = padded(model, batch, model.base_model).last_hidden_state
        family = find_encoder(model.config)
        forward = family.forward(model.base_model, LiveAffine)
        first = family.forward(model.base_model, LiveAffine, first_only=True)
        mask = batch.padded(0)[2].bool()
        torch.testing.assert_close(forward.states(batch), states[mask], atol=1e-4, rtol=0)
        means = (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        pooled = (("cls", first, states[:, 0]), ("mean", forward, means))
        for pooling, ours, vectors in pooled:
            found = pool(ours, [pooling], batch)
            torch.testing.assert_close(found, vectors, atol=1e-4, rtol=0)


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("count", [1, 24])
def test_gradients_equal_those_of_the_padded_forward(model, count, recompute):
    batch = random_batch(1, count)
    weights = torch.linspace(-1, 2, len(batch))[:, None]

    def gradients(found):
        model.zero_grad()
        (found * weights).sum().backward()
        return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}

    ours = packed(model, LiveAffine, first_only=True, recompute=recompute).logits(batch)
    assert_gradients_close(gradients(ours), gradients(padded(model, batch, model).logits))


def test_bf16_stays_near(model):
    batch = random_batch(count=40)
    with torch.inference_mode():
        exact = packed(model, LiveAffine, first_only=True).logits(batch)
        make = freeze_affine(torch.bfloat16, 512)
        rough = packed(model, make, torch.bfloat16, first_only=True).logits(batch)
    assert rough.dtype == torch.float32
    assert np.corrcoef(exact.flatten(), rough.flatten())[0, 1] > 0.99


def test_mpnets_tokens_know_how_far_apart_they_stand():
    model, batch = tiny("mpnet"), random_batch()
    model.base_model.embeddings.position_embeddings.weight.data.zero_()
    forward = packed(model, LiveAffine, first_only=True)
    with torch.inference_mode():
        found = forward.logits(batch)
        model.base_model.encoder.relative_attention_bias.weight.data.zero_()
        assert (forward.logits(batch) - found).abs().max() > 1e-3


@pytest.mark.parametrize(("kind", "name"), [("distilbert", "activation"), ("mpnet", "hidden_act")])
def test_another_activation_is_left_to_the_models_own_forward(kind, name):
    config = AutoConfig.for_model(kind, **{name: "relu"})
    assert not find_encoder(config).packs


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_falls_on_states_weights_and_head_in_training_alone(kind):
    config = tiny(kind).config
    for name in find_encoder(config).dropouts(config):
        setattr(config, name, 0.0)
    torch.manual_seed(0)
    still = AutoModelForSequenceClassification.from_config(config).train()
    batch = random_batch()
    forward = packed(still, LiveAffine, first_only=True)
    with torch.no_grad():
        assert torch.equal(forward.logits(batch), forward.logits(batch))
        assert not torch.equal(forward.logits(batch, 0.3), forward.logits(batch, 0.3))
