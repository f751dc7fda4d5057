"""The form of scores: the hardware's, served, or both in a cascade; and which attention it is."""

import json
from types import SimpleNamespace

import pytest
from transformers import AutoTokenizer, DebertaV2Config
from transformers import DebertaV2ForSequenceClassification as Deberta

from recross.checkpoints import pretrained
from recross.inference.encoders import attention, encoder
from recross.inference.encoders.encoder import BY_GROUPS, BY_OFFSETS
from recross.inference.encoders.families import PADDED, find_classifier
from recross.inference.encoders.headed import HeadedFamily
from recross.machine.hardware import Hardware
from recross.rerankers.baselines import FirstStage
from recross.rerankers.causal import CausalReranker
from recross.rerankers.composed.cascade import Cascade, Stage
from recross.rerankers.cross_encoder import CrossEncoder
from recross.rerankers.form import Form, find_attentions, find_form
from recross.rerankers.served.dialects import TeiRerank
from recross.rerankers.served.served import ServedReranker
from recross.rerankers.t5 import T5Reranker
from tests.conftest import save_tiny, save_tiny_llama, save_tiny_t5
from tests.rerankers.test_every_network_learns import YES_NO

SERVED = ServedReranker("http://127.0.0.1:1", "m", TeiRerank())
HERE = FirstStage()


def test_what_a_server_computes_has_no_precision_of_this_machine():
    hardware = Hardware(precision="bf16")
    assert find_form(SERVED, hardware) == Form("served", None)
    assert find_form(HERE, hardware) == Form("torch", "bf16")


def test_a_cascade_has_the_forms_of_its_stages():
    hardware = Hardware()
    served, here = Stage(SERVED, 9), Stage(HERE, 9)
    assert find_form(Cascade({"a": served}), hardware) == Form("served", None)
    assert find_form(Cascade({"a": here, "b": served}), hardware) == Form(
        "torch and served", "fp32"
    )
    assert find_form(Cascade({"a": here, "b": here}), hardware) == Form("torch", "fp32")


def save_deberta(folder):
    save_tiny(folder)  # for its tokenizer
    config = DebertaV2Config(
        **{"vocab_size": len(AutoTokenizer.from_pretrained(folder)), "hidden_size": 32},
        **{"num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 32},
        **{"num_labels": 1, "relative_attention": True},
    )
    Deberta(config).save_pretrained(folder)
    settings = folder / "tokenizer_config.json"
    known = json.loads(settings.read_text()) | {"tokenizer_class": "PreTrainedTokenizerFast"}
    settings.write_text(json.dumps(known))
    return folder


MADE = {
    "bert": (lambda f: CrossEncoder(str(save_tiny(f))), BY_GROUPS),
    "mpnet": (lambda f: CrossEncoder(str(save_tiny(f, "mpnet"))), BY_GROUPS),
    "t5": (lambda f: T5Reranker(str(save_tiny_t5(f)), contract="monot5"), BY_GROUPS),
    "llama": (lambda f: CausalReranker(str(save_tiny_llama(f)), contract=YES_NO), BY_GROUPS),
    "bert-padded": (
        lambda f: CrossEncoder(str(save_tiny(f, hidden_act="relu"))),
        "padded, transformers' sdpa",
    ),
    "deberta": (lambda f: CrossEncoder(str(save_deberta(f))), "padded, transformers' eager"),
    "compiled": (
        lambda f: CrossEncoder(str(save_tiny(f)), hardware=Hardware(backend="torch_compile")),
        "padded, transformers' sdpa",
    ),
}


@pytest.mark.parametrize("kind", MADE)
def test_a_record_says_which_attention_computes_scores(kind, tmp_path):
    make, name = MADE[kind]
    assert find_attentions(make(tmp_path)) == [name]


def test_attention_by_offsets_is_named(tmp_path, monkeypatch):
    model = pretrained.load("sequence_classifier", str(save_tiny(tmp_path))).model
    family, half = find_classifier(model), Hardware(precision="bf16")
    assert family.name_attention(model, half) == BY_GROUPS  # a processor has no such kernel
    for module in (attention, encoder):
        monkeypatch.setattr(module, "has_kernel_for", lambda _, dtype: dtype == half.dtype)
    assert family.name_attention(model, half) == BY_OFFSETS


def test_an_encoder_under_a_head_of_modules_is_named_by_its_own_family(tmp_path):
    model = pretrained.load(
        "sequence_classifier", str(save_tiny(tmp_path, hidden_act="relu"))
    ).model
    found = HeadedFamily(PADDED).name_attention(SimpleNamespace(encoder=model), Hardware())
    assert found == "padded, transformers' sdpa"
