"""Decoders without padding: every token, logits and gradients are those of transformers."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification

from recross.checkpoints.heads import make_heads_exact
from recross.inference.encoders import causal_attention, packed_attention
from recross.inference.encoders.affine import LiveAffine, hold_affine
from recross.inference.encoders.families import PADDED, find_classifier, find_encoder
from recross.inference.encoders.shared_start import LEAST_SHARED
from recross.inference.preparation import Preparation, merge, prepare
from recross.inference.sequences import Sequences, by_length
from recross.machine.hardware import Hardware
from tests.inference.encoders.test_bert import assert_gradients_close
from tests.slow_attention import attend_slowly

SIZES = {
    **{"vocab_size": 60, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4},
    **{"num_key_value_heads": 2, "intermediate_size": 48, "max_position_embeddings": 128},
    **{"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "num_labels": 2},
    **{"initializer_range": 0.3},
}
LLAMA3 = {
    **{"rope_type": "llama3", "rope_theta": 500_000.0, "factor": 8.0, "low_freq_factor": 1.0},
    **{"high_freq_factor": 4.0, "original_max_position_embeddings": 64},
}
NEAR = {"use_sliding_window": True, "sliding_window": 6, "max_window_layers": 1}
KINDS = {
    "llama": ("llama", {}),
    "llama-3": ("llama", {"rope_parameters": LLAMA3}),
    "llama-biases": ("llama", {"attention_bias": True, "mlp_bias": True, "num_key_value_heads": 4}),
    "mistral": ("mistral", {"sliding_window": None}),
    "mistral-near": ("mistral", {"sliding_window": 5}),
    "qwen2": ("qwen2", {}),
    "qwen2-near": ("qwen2", NEAR),
    "qwen3": ("qwen3", {"head_dim": 16}),
    "qwen3-near": ("qwen3", NEAR | {"head_dim": 16, "max_window_layers": 2}),
    "gemma": (
        "gemma",
        {"head_dim": 16, "num_key_value_heads": 1, "hidden_act": "gelu_pytorch_tanh"},
    ),
}
SHARED = [0, 3, 20]
COUNTS = [1, 2, 24, 130]


def make_model(kind, head=True, **more):
    model_type, own = KINDS[kind]
    config = AutoConfig.for_model(model_type, **(SIZES | own | more))
    auto = AutoModelForSequenceClassification if head else AutoModelForCausalLM
    with torch.random.fork_rng():
        torch.manual_seed(4)
        model = auto.from_config(config).eval()
        for name, parameter in model.named_parameters():
            if parameter.ndim == 1:  # norms and biases that differ from where they begin
                torch.nn.init.normal_(parameter, 0.0 if "bias" in name else 0.5, 0.3)
    return model


@pytest.fixture(params=KINDS)
def model(request):
    return make_model(request.param)


def prompts(shared, count=24, seed=0):
    """Random prompts of mixed lengths that begin with as many equal tokens."""
    rng = np.random.default_rng(seed)
    start = rng.integers(5, 60, shared).tolist()
    lengths = rng.integers(2, 40, count)
    rows = [
        [*start, 5 + n % 3, *rng.integers(5, 60, k - 1).tolist()] for n, k in enumerate(lengths)
    ]
    sequences = Sequences.of(rows, np.zeros((count, 2), dtype=np.int64))
    assert sequences.shared == (shared if count > 2 else sequences.shared)
    return sequences.take(by_length(sequences.lengths)).on(torch.device("cpu"))


def padded_states(model, batch):
    tokens, _, mask = batch.padded(0)
    states = model.base_model(input_ids=tokens, attention_mask=mask).last_hidden_state
    return states, mask.bool()


def padded_logits(model, batch):
    tokens, _, mask = batch.padded(0)
    return model(input_ids=tokens, attention_mask=mask).logits


def packed(model, make=LiveAffine, dtype=torch.float32, **settings):
    family = find_classifier(model)
    assert family.packs
    return family.forward(model, make, dtype, **settings)


def gradients_of(model, found):
    model.zero_grad()
    (found * torch.linspace(-1, 2, len(found))[:, None]).sum().backward()
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


@pytest.fixture(params=[False, True], ids=["by-groups", "by-offsets"])
def attending(request, monkeypatch):
    """Attend group by group, or by offsets as a GPU does, by a loop."""
    if request.param:
        monkeypatch.setattr(causal_attention, "has_kernel_for", lambda *_: True)
        monkeypatch.setattr(packed_attention, "find_kernel", lambda: attend_slowly)


@pytest.mark.usefixtures("attending")
@pytest.mark.parametrize("shared", SHARED)
@pytest.mark.parametrize("count", COUNTS)
def test_logits_at_last_tokens_equal_those_of_the_padded_forward(model, count, shared):
    batch = prompts(shared, count)
    with torch.inference_mode():
        expected = padded_logits(model, batch)
        for make in (hold_affine(torch.float32), LiveAffine):
            found = packed(model, make).logits(batch)
            torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-5)


@pytest.mark.usefixtures("attending")
@pytest.mark.parametrize("shared", SHARED)
def test_states_of_every_token_equal_those_of_the_padded_forward(model, shared):
    batch = prompts(shared)
    with torch.inference_mode():
        expected, mask = padded_states(model, batch)
        forward = find_encoder(model.config).forward(model.base_model, LiveAffine)
        close = {"atol": 1e-4, "rtol": 1e-5}
        torch.testing.assert_close(forward.states(batch), expected[mask], **close)
        torch.testing.assert_close(forward.first_states(batch), expected[:, 0], **close)
        ends = expected[torch.arange(len(batch)), mask.sum(1) - 1]
        torch.testing.assert_close(forward.last_states(batch), ends, **close)
        torch.testing.assert_close(
            PADDED.forward(model, LiveAffine).last_states(batch), ends, **close
        )


@pytest.mark.usefixtures("attending")
@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("shared", SHARED)
def test_gradients_equal_those_of_the_padded_forward(model, shared, recompute):
    batch = prompts(shared)
    ours = gradients_of(model, packed(model, recompute=recompute).logits(batch))
    assert_gradients_close(ours, gradients_of(model, padded_logits(model, batch)))


def test_a_common_start_is_computed_once(model):
    batch, counted = prompts(20), []
    projection = model.base_model.layers[0].self_attn.q_proj
    projection.register_forward_hook(lambda _, inputs, __: counted.append(len(inputs[0])))
    with torch.inference_mode():
        packed(model).logits(batch)
        alone = replace(batch, layout=batch.layout._replace(shared=LEAST_SHARED - 1))
        packed(model).logits(alone)
    assert counted == [len(batch.tokens) - 20 * (len(batch) - 1), len(batch.tokens)]


def test_the_last_layer_carries_last_tokens_alone(model):
    batch, counted = prompts(0), {}
    for n, layer in enumerate(model.base_model.layers):
        layer.mlp.up_proj.register_forward_hook(
            lambda _, inputs, __, n=n: counted.update({n: len(inputs[0])})
        )
    with torch.inference_mode():
        packed(model).logits(batch)
    assert counted == {0: len(batch.tokens), 1: len(batch.tokens), 2: len(batch)}


@pytest.mark.parametrize("kind", ["mistral-near", "qwen2-near", "llama"])
def test_long_prompts_are_attended_to_in_steps(kind, monkeypatch):
    model, batch = make_model(kind), prompts(20)
    monkeypatch.setattr(causal_attention, "QUERY_STEP", 7)
    with torch.inference_mode():
        expected = padded_logits(model, batch)
        torch.testing.assert_close(packed(model).logits(batch), expected, atol=1e-4, rtol=1e-5)


def test_held_weights_are_neither_copied_nor_made_single(model):
    family, batch = find_classifier(model), prompts(12)
    with torch.inference_mode():
        exact = family.frozen(model, Hardware()).logits(batch)
        half = model.bfloat16()
        make_heads_exact(half, ("score",))  # as a network does
        forward = family.frozen(half, Hardware())
        assert forward.dtype == torch.bfloat16
        assert {p.dtype for p in half.parameters()} == {torch.bfloat16}
        rough = forward.logits(batch)
        before = float(rough[0, 0])
        half.base_model.layers[0].self_attn.v_proj.weight.zero_()
        assert float(forward.logits(batch)[0, 0]) != before
    assert np.corrcoef(exact.flatten(), rough.float().flatten())[0, 1] > 0.98


def test_weights_in_single_precision_are_computed_in_bf16_where_that_is_asked_for(model):
    batch, hardware = prompts(12), Hardware(precision="bf16")
    with torch.inference_mode():
        exact = packed(model).logits(batch)
        rough = find_classifier(model).frozen(model, hardware).logits(batch)
    assert rough.dtype == torch.float32
    assert np.corrcoef(exact.flatten(), rough.flatten())[0, 1] > 0.98


def test_low_rank_additions_learn_and_merge(model):
    pytest.importorskip("peft")
    family, batch = find_classifier(model), prompts(12)
    prepare(model, family, ("score",), Preparation(lora_rank=2))
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    ours = gradients_of(model, packed(model).logits(batch))
    assert any("lora_A" in name for name in ours)
    assert_gradients_close(ours, gradients_of(model, padded_logits(model, batch)))
    added = packed(model).logits(batch)
    frozen = family.frozen(model, Hardware()).logits(batch)
    merge(model)
    torch.testing.assert_close(added, packed(model).logits(batch), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(added, frozen, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    "more",
    [
        {"hidden_act": "relu"},
        {"rope_parameters": {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}},
    ],
)
def test_what_is_not_known_is_left_to_the_models_own_forward(more):
    assert not find_encoder(make_model("llama", **more).config).packs


def test_gemma_that_sees_later_tokens_is_left_to_its_own_forward():
    config = make_model("gemma").config
    config.use_bidirectional_attention = True
    assert not find_encoder(config).packs
