"""Every family goes through one seam: those known without padding, all others in their own form."""

from collections import Counter

import pytest
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification

from recross.errors import InputError
from recross.inference.encoders.affine import LiveAffine
from recross.inference.encoders.families import PADDED, find_classifier, find_encoder
from recross.inference.preparation import Preparation, prepare
from tests.inference.encoders.test_bert import padded_logits, random_batch

SIZES = {
    "vocab_size": 40,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "num_labels": 2,
    "initializer_range": 0.4,
}
OWN = {
    "distilbert": {
        **{"vocab_size": 40, "dim": 32, "n_layers": 3, "n_heads": 4, "hidden_dim": 48},
        **{"max_position_embeddings": 64, "pad_token_id": 0, "num_labels": 2},
    },
    "albert": SIZES | {"embedding_size": 16},
    "modernbert": SIZES
    | {"cls_token_id": 1, "sep_token_id": 2, "global_attn_every_n_layers": 3, "local_attention": 8},
    "deberta-v2": SIZES | {"relative_attention": True, "position_biased_input": False},
}
UNKNOWN = ["albert", "deberta-v2", "gpt_neox", "camembert"]
KNOWN = ["bert", "roberta", "electra", "distilbert", "mpnet", "modernbert", "llama"]
LAYERS = {"albert": 1}
POSITIONS = {"bert": 64, "roberta": 63, "camembert": 63, "mpnet": 62, "deberta-v2": None}


def tiny(kind, **more):
    """A random classifier of a family."""
    config = AutoConfig.for_model(kind, **(OWN.get(kind, SIZES) | more))
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return AutoModelForSequenceClassification.from_config(config).eval()


@pytest.mark.parametrize("kind", UNKNOWN)
def test_an_unknown_family_scores_in_its_own_padded_forward(kind):
    model, batch = tiny(kind), random_batch()
    family = find_classifier(model)
    assert family is PADDED
    found = family.forward(model, LiveAffine, first_only=True).logits(batch)
    for row, start in enumerate(batch.starts.tolist()):
        length = [length for count, length in batch.groups for _ in range(count)][row]
        alone = model(input_ids=batch.tokens[start : start + length][None]).logits[0]
        if getattr(model.config, "type_vocab_size", 0) <= 1:
            torch.testing.assert_close(found[row], alone, atol=1e-4, rtol=1e-4)
        else:
            assert (found[row] - alone).abs().max() > 1e-4  # segments were passed


@pytest.mark.parametrize("kind", [*KNOWN, *UNKNOWN])
def test_layers_are_found_frozen_and_learn(kind):
    model = tiny(kind)
    family = find_classifier(model)
    assert len(family.layers(model)) == LAYERS.get(kind, 3)
    prepare(model, family, ("classifier", "score"), Preparation(frozen_share=0.34))
    forward = family.forward(model.train(), LiveAffine, first_only=True)
    forward.logits(random_batch()).sum().backward()
    frozen = [p for p in family.layers(model)[0].parameters() if not p.requires_grad]
    assert bool(frozen) is (kind != "albert")  # a third of one shared group is none
    last = [p.grad for p in family.layers(model)[-1].parameters()]
    assert any(gradient is not None and gradient.abs().max() > 0 for gradient in last)


@pytest.mark.parametrize("kind", ["distilbert", "modernbert", "bert", "llama"])
def test_dropout_is_set_everywhere_a_family_has_it(kind):
    model = tiny(kind)
    family = find_encoder(model.config)
    prepare(model, family, (), Preparation(dropout=0.25))
    assert family.dropout(model.config) == 0.25
    modules = [m for m in model.modules() if isinstance(m, torch.nn.Dropout)]
    assert all(module.p == 0.25 for module in modules)
    numbers = [getattr(m, "attention_dropout", 0.25) for m in model.modules()]
    assert set(numbers) == {0.25}


@pytest.mark.parametrize("kind", [*KNOWN, *UNKNOWN])
def test_sequences_as_long_as_the_positions_go_through_and_longer_limits_are_refused(kind):
    model = tiny(kind)
    family = find_classifier(model)
    positions = family.positions(model)
    assert positions == POSITIONS.get(kind, 64)
    model(input_ids=torch.full((1, positions or 100), 7))
    if positions is not None:
        family.check_positions(model, "max_length", positions)
        with pytest.raises(InputError, match=f"max_length must not exceed the {positions} pos"):
            family.check_positions(model, "max_length", positions + 1)
    if kind in ("bert", "roberta", "mpnet", "camembert", "distilbert", "albert", "electra"):
        with pytest.raises((IndexError, RuntimeError)):  # so it is all there is
            model(input_ids=torch.full((1, positions + 1), 7))


def test_a_model_of_one_segment_is_given_no_other():
    model, batch = tiny("roberta", type_vocab_size=1), random_batch()
    assert batch.segments.max() == 1
    with torch.inference_mode():
        found = find_classifier(model).forward(model, LiveAffine, first_only=True).logits(batch)
        batch.segments.zero_()
        torch.testing.assert_close(found, padded_logits(model, batch), atol=1e-4, rtol=0)


def test_a_network_without_layers_to_find_is_refused_in_one_sentence():
    model = tiny("deberta-v2")
    model.config.num_hidden_layers = 7
    with pytest.raises(InputError, match="layers are known, to be trained, got a DebertaV2For"):
        prepare(model, PADDED, (), Preparation())


@pytest.mark.parametrize("kind", ["bert", "roberta", "distilbert", "modernbert", "llama"])
def test_a_layer_is_computed_twice_in_a_step_where_activations_are_recomputed(kind):
    assert layer_calls(kind, recompute=False) == layer_calls(kind, recompute=True) / 2 > 0


@pytest.mark.parametrize("kind", ["albert", "mpnet"])
def test_a_model_that_cannot_recompute_is_refused(kind):
    with pytest.raises(InputError, match="gradient_checkpointing must be false .* got true for a"):
        PADDED.forward(tiny(kind), LiveAffine, recompute=True)


def layer_calls(kind, recompute):
    """How often the first layer is computed in a step."""
    model = tiny(kind).train()
    family = find_classifier(model)
    forward = family.forward(model, LiveAffine, first_only=True, recompute=recompute)
    calls = Counter()
    for module in family.layers(model)[0].modules():
        if isinstance(module, torch.nn.Linear):
            module.register_forward_hook(lambda module, *_: calls.update([id(module)]))
    forward.logits(random_batch()).sum().backward()
    return max(calls.values())  # torch stops computing again where all that it needs is there
