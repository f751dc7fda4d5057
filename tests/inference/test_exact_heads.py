"""Scores are numbers of single precision, in whichever type the rest of a network is computed."""

import copy
import pickle
from dataclasses import replace
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from recross.checkpoints.contracts import PromptContract
from recross.checkpoints.heads import ExactLinear, OutputLayer, make_heads_exact, reading
from recross.inference.encoders import affine
from recross.inference.network import PairScorer
from recross.inference.session import Session
from recross.machine.hardware import Hardware
from recross.rerankers.causal import CausalReranker
from recross.rerankers.t5 import T5Reranker
from recross.training.data.in_batch import StepTexts
from tests.conftest import save_tiny_llama, save_tiny_t5
from tests.inference.test_gpu_dtypes import ALL_NETWORKS, batch_of

DIGITS = PromptContract(
    "digits", "{query} : {document}", "expected_value", tuple("0123"), add_eos=False, max_length=64
)
MORE = {
    "whole-logits": lambda f: CausalReranker(  # its logits are capped after the output layer
        str(save_tiny_llama(f, kind="Gemma2", head_dim=8, final_logit_softcapping=30.0)),
        contract=replace(DIGITS, read_out="log_softmax", pieces=("no", "yes")),
    ),
    "t5-padded": lambda f: T5Reranker(
        str(save_tiny_t5(f, feed_forward_proj="silu")), contract="monot5"
    ),
}
EVERY = {**ALL_NETWORKS, **MORE}


def is_exact(scores):
    """Whether most of the numbers are none of bf16; a few may be by chance."""
    return (scores.detach().bfloat16().float() != scores.detach()).float().mean() > 0.5


def logits_of(network, session):
    """What is read of answers, where a read-out would hide how exact that is; else the scores."""
    if isinstance(network, PairScorer):
        return network.frozen_answers(session)
    return network.inference(session)


@pytest.fixture
def half(monkeypatch):
    monkeypatch.setattr(Hardware, "device", torch.device("cpu"))
    monkeypatch.setattr(Hardware, "_multiplies_in_bf16", lambda _: True)
    monkeypatch.setattr(affine, "_has_blocked_linear", lambda: False)
    return Hardware(accelerator="gpu", precision="bf16")


@pytest.mark.parametrize("kind", EVERY)
def test_scores_in_bf16_are_numbers_of_single_precision(kind, half, tmp_path):
    network = EVERY[kind](tmp_path).network.eval()
    batch = batch_of(network)
    with torch.inference_mode():
        assert is_exact(logits_of(network, Session(half))(batch))


@pytest.mark.parametrize("kind", EVERY)
def test_training_sees_scores_of_single_precision_under_autocast(kind, tmp_path):
    network = EVERY[kind](tmp_path).network.train()
    with torch.autocast("cpu", torch.bfloat16):
        learned = network.answers(batch_of(network))  # (B, C) of a text encoder its scores
        scores = network(batch_of(network))
    assert learned.dtype == scores.dtype == torch.float32
    assert is_exact(learned)


@pytest.mark.parametrize("kind", MORE)
def test_reading_a_few_rows_gives_the_logits_of_the_whole_vocabulary(kind, tmp_path):
    network = EVERY[kind](tmp_path).network.eval()
    assert not getattr(network, "_rows_are_enough", False)
    batch = batch_of(network)
    with torch.inference_mode():
        few = network.answers(batch)
        output = network.model.get_output_embeddings()
        assert type(output) is OutputLayer
        output.__class__ = nn.Linear
        whole = network.answers(batch)
    torch.testing.assert_close(few, whole)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own
def test_a_compiled_classifier_has_an_exact_head(half, tmp_path, monkeypatch):
    compile_eagerly = partial(torch.compile, backend="aot_eager", fullgraph=True)
    monkeypatch.setattr(torch, "compile", compile_eagerly)
    network = ALL_NETWORKS["bert"](tmp_path).network.eval()
    scorer = logits_of(network, Session(replace(half, backend="torch_compile")))
    with torch.inference_mode():
        assert is_exact(scorer(batch_of(network)))


def test_weights_held_in_half_precision_are_made_single_for_the_last_product(tmp_path):
    layer = nn.Linear(64, 3).bfloat16()
    layer.__class__ = ExactLinear
    states = torch.randn(5, 64, generator=torch.Generator().manual_seed(0)).bfloat16()
    expected = F.linear(states.float(), layer.weight.float(), layer.bias.float())
    with torch.autocast("cpu", torch.bfloat16):
        assert (layer(states) == expected).all()
    causal = CausalReranker(
        str(save_tiny_llama(tmp_path, head=True)),
        contract=PromptContract("head", "{query} : {document}", "head", max_length=64),
        weights="bf16",
    )
    with torch.inference_mode():
        assert is_exact(causal.network.answers(batch_of(causal.network)))


def test_only_the_head_becomes_exact_and_it_is_copied_and_pickled_as_such(tmp_path):
    model = ALL_NETWORKS["bert"](tmp_path).network.model
    for one in (model, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        exact = [name for name, module in one.named_modules() if type(module) is ExactLinear]
        assert exact == ["bert.pooler.dense", "classifier"]


def test_a_bare_encoder_has_no_head():
    from transformers import BertModel

    tiny = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    model = BertModel._from_config(BertModel.config_class(**tiny, intermediate_size=8))
    make_heads_exact(model, ())
    assert not any(isinstance(module, ExactLinear) for module in model.modules())


def test_rows_are_read_inside_the_block_alone():
    layer = nn.Linear(4, 9)
    layer.__class__ = OutputLayer
    states, rows = torch.randn(2, 4), torch.tensor([7, 0])
    whole = layer(states)
    with reading(rows):
        few = layer(states)
    torch.testing.assert_close(few, whole[:, rows])
    assert layer(states).shape == (2, 9)


def test_products_of_all_queries_and_documents_are_exact_under_autocast():
    vectors = F.normalize(torch.randn(6, 32, generator=torch.Generator().manual_seed(0)), dim=1)
    empty = torch.zeros(2, 4)
    texts = StepTexts([], torch.tensor([0, 1]), torch.arange(2, 6), empty, empty, pairs=8)
    with torch.autocast("cpu", torch.bfloat16):
        scores = texts.scores(vectors, 20.0)
    assert (scores == 20.0 * vectors[:2] @ vectors[2:].T).all()
