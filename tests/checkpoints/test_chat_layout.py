"""Causal re-rankers in sentence-transformers' folders score as its CrossEncoder scores them."""

import json

import numpy as np
import pytest

from recross.checkpoints.chat_layout import read_chat_contract
from recross.command.loading import load_reranker
from recross.errors import InputError
from recross.rerankers.causal import CausalReranker
from tests.conftest import save_tiny_llama
from tests.rerankers.test_cross_encoder import mixed_pairs

PAIRS = [*mixed_pairs(12), (" a red {cat}? ", " owls {% and %} cats\n")]
FLAT = """<|im_start|>system
{{ messages | selectattr("role", "eq", "system") | map(attribute="content") | first
 | default("Judge {it}") }}<|im_end|>
<|im_start|>user
<Document>: {{ messages | selectattr("role", "eq", "document") | map(attribute="content") | first }}
<Query>: {{ messages | selectattr("role", "eq", "query") | map(attribute="content") | first }}
?<|im_end|>
<|im_start|>assistant
{% if add_generation_prompt %}<think>{% endif %}"""
STRIPPED = """{% for m in messages %}<|im_start|>{{ m.role }}
{{ m.content | trim }}<|im_end|>
{% endfor %}"""
STRUCTURED = """{% for m in messages if m.role != "system" %}{{ m.role }}: {{ m.content[0].text }}
{% endfor %}</s>"""
MESSAGE = {"method": "forward", "method_output_name": "logits"}


def lay_out(folder, template, kind="Qwen3", settings=None, model=None, score=None):
    """Write a tiny model in the layout, by hand as its files are."""
    save_tiny_llama(folder, kind=kind, max_position_embeddings=512, vocab_size=400)
    tasks = {"text": MESSAGE, "message": MESSAGE | {"format": "flat"}}
    package = "sentence_transformers"
    names = ("base.modules.transformer.Transformer", "cross_encoder.modules.logit_score.LogitScore")
    modules = [
        {"idx": n, "name": str(n), "path": f"{n}_LogitScore" * n, "type": f"{package}.{name}"}
        for n, name in enumerate(names)
    ]
    files = {
        "modules.json": modules,
        "config_sentence_transformers.json": {"model_type": "CrossEncoder"} | (settings or {}),
        "sentence_bert_config.json": {
            "transformer_task": "text-generation",
            "modality_config": tasks,
            "module_output_name": "causal_logits",
        }
        | (model or {}),
        "1_LogitScore/config.json": {"true_token_id": 40, "false_token_id": 41} | (score or {}),
    }
    (folder / "1_LogitScore").mkdir()
    for name, values in files.items():
        (folder / name).write_text(json.dumps(values))
    if template:
        (folder / "chat_template.jinja").write_text(template)
    return str(folder)


def their_scores(folder, pairs=PAIRS, **options):
    from sentence_transformers import CrossEncoder

    return CrossEncoder(str(folder), device="cpu").predict(pairs, **options)


IDENTITY = {"activation_fn": "torch.nn.modules.linear.Identity"}
PROMPTED = {"prompts": {"web": "Find {it}"}, "default_prompt_name": "web"}
AS_PARTS = {"modality_config": {"text": MESSAGE, "message": MESSAGE | {"format": "structured"}}}
THINKING = {"processing_kwargs": {"chat_template": {"add_generation_prompt": True}}}


@pytest.mark.parametrize(
    "kind, template, settings, model, score",
    [
        ("Qwen3", FLAT, {}, {}, {}),
        ("Qwen2", FLAT, PROMPTED | IDENTITY, THINKING, {}),
        ("Llama", FLAT, IDENTITY, {}, {"false_token_id": None}),
        ("Qwen3", STRIPPED, PROMPTED, {}, {"false_token_id": None}),
        ("Llama", STRUCTURED, PROMPTED | IDENTITY, AS_PARTS, {}),
        ("Qwen2", STRIPPED, {"activation_fn": "torch.nn.modules.activation.LogSigmoid"}, {}, {}),
    ],
)
def test_scores_are_those_of_sentence_transformers(
    tmp_path, kind, template, settings, model, score
):
    folder = lay_out(tmp_path / "m", template, kind, settings, model, score)
    expected = their_scores(folder)
    reranker = load_reranker(folder)
    assert isinstance(reranker, CausalReranker) and np.std(expected) > 1e-3
    np.testing.assert_allclose(reranker.predict(PAIRS), expected, atol=1e-4)


def test_an_instruction_is_the_systems_turn(tmp_path):
    folder = lay_out(tmp_path / "m", FLAT, settings=PROMPTED | IDENTITY)
    told = CausalReranker(folder, instruction="Find owls").predict(PAIRS)
    np.testing.assert_allclose(told, their_scores(folder, prompt="Find owls"), atol=1e-4)
    assert np.abs(told - CausalReranker(folder).predict(PAIRS)).max() > 1e-3
    contract = read_chat_contract(folder)
    assert contract.instruction == "Find {it}" and "Judge" not in contract.template
    other = lay_out(tmp_path / "other", FLAT, settings=IDENTITY)
    contract = read_chat_contract(other)
    assert contract.instruction is None and "Judge {{it}}" in contract.template
    told = CausalReranker(other, instruction="Find owls").predict(PAIRS)
    np.testing.assert_allclose(told, their_scores(other, prompt="Find owls"), atol=1e-4)


def test_limits_are_the_least_of_what_the_files_say(tmp_path):
    folder = lay_out(tmp_path / "m", FLAT)
    assert read_chat_contract(folder).max_length == 256  # the tokenizer's
    limits = {"processing_kwargs": {"text": {"max_length": 128}}}
    assert read_chat_contract(lay_out(tmp_path / "n", FLAT, model=limits)).max_length == 128


ONE_TURN = '{{ messages | selectattr("role", "eq", "query") | map(attribute="content") | first }}'


@pytest.mark.parametrize(
    "given, message",
    [
        ({"template": None}, "must hold a chat template, got none"),
        ({"template": ONE_TURN}, "must hold query and document once each"),
        ({"template": FLAT + ONE_TURN}, "must hold query and document once each"),
        ({"template": FLAT.replace(" | first }}", " | first | upper }}")}, "once each"),
        ({"template": STRIPPED.replace(" | trim", "[:3]")}, "once each"),
        ({"template": "{{ raise_exception('no such role') }}"}, "must lay out a query .*no such"),
        ({"template": "{% for %}"}, "must lay out a query and a document"),
        ({"score": {"true_token_id": None}}, "LogitScore must have a true_token_id"),
        ({"score": {"true_token_id": "yes"}}, "LogitScore must have a true_token_id"),
        ({"score": {"true_token_id": 10**6}}, "pieces must be numbers from 0 to"),
        ({"score": {"false_token_id": -1}}, "pieces must be numbers from 0 to"),
        ({"model": {"transformer_task": "fill-mask"}}, "must be text-generation, got 'fill-mask'"),
        ({"settings": {"activation_fn": "torch.nn.modules.activation.ReLU"}}, "got 'torch.nn.*Re"),
        ({"model": {"processing_kwargs": {"text": {"max_length": 12}}}}, "max_length must leave 8"),
    ],
)
def test_what_does_not_say_how_it_scores_is_one_error(tmp_path, given, message):
    folder = lay_out(tmp_path / "m", **{"template": FLAT} | given)
    with pytest.raises(InputError, match=message):
        _ = CausalReranker(folder).network


def test_other_chains_and_other_models_are_refused(tmp_path):
    folder = lay_out(tmp_path / "m", FLAT)
    modules = json.loads((tmp_path / "m" / "modules.json").read_text())
    (tmp_path / "m" / "modules.json").write_text(json.dumps([*modules, modules[1]]))
    with pytest.raises(InputError, match="modules before a LogitScore must be one Transformer"):
        _ = CausalReranker(folder).network
    plain = str(save_tiny_llama(tmp_path / "plain"))
    with pytest.raises(InputError, match=r"contract must be given for .*plain.* qwen3-reranker, "):
        _ = CausalReranker(plain).network
    assert read_chat_contract(plain) is None


def test_a_contract_that_is_given_or_stored_comes_before_the_folders_own(tmp_path):
    folder = lay_out(tmp_path / "m", FLAT)
    given = CausalReranker(folder, contract="qwen3-reranker", max_length=400).network
    assert given.contract.name == "qwen3-reranker"
    given.save(tmp_path / "saved")
    again = CausalReranker(str(tmp_path / "saved")).network
    assert again.contract == given.contract
