"""What a GPU computes in half precision, on a processor made as strict about types."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from recross.errors import InputError
from recross.inference.encoders import affine
from recross.inference.sequences import by_length
from recross.inference.session import Session
from recross.machine.hardware import Hardware
from recross.rerankers.cross_encoder import CrossEncoder
from recross.rerankers.dual_encoder import DualEncoder
from recross.rerankers.t5 import T5Reranker
from recross.retrieval.biencoder import BiEncoder
from tests.conftest import save_tiny, save_tiny_t5
from tests.inference.encoders.test_modernbert import save_tiny_modernbert
from tests.rerankers.test_dual_encoder import save_sentences
from tests.rerankers.test_every_network_learns import NETWORKS
from tests.strict_dtypes import StrictDtypes

QUERIES = ["red cat", "a very white owl"]
DOCUMENTS = ["here lives a red cat", "an owl", "white dog and more words " * 4, "a blue bee"]
ALL_NETWORKS = {
    **NETWORKS,
    "electra": lambda f: CrossEncoder(str(save_tiny(f, "electra", labels=1))),
    "roberta": lambda f: CrossEncoder(str(save_tiny(f, "roberta", labels=1))),
    "bert-padded": lambda f: CrossEncoder(str(save_tiny(f, hidden_act="relu"))),
    "mt5": lambda f: t5_of(f, "mt5", feed_forward_proj="gated-gelu"),
    "bi-encoder-mean": lambda f: DualEncoder(save_sentences(f, "mean"), max_length=24),
    "bi-encoder-cls": lambda f: DualEncoder(save_sentences(f, "cls"), max_length=24),
    "modernbert": lambda f: CrossEncoder(str(save_tiny_modernbert(f)), max_length=32),
}
AUTOCAST = {"yes-no", "head", "bert-padded"}
HALVES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def t5_of(folder, kind, **more):
    return T5Reranker(str(save_tiny_t5(folder, kind, **more)), contract="monot5")


def batch_of(network):
    count = network.documents_per_item
    items = [
        (query, *((first + n) % len(DOCUMENTS) for n in range(count)))
        for query in range(len(QUERIES))
        for first in range(len(DOCUMENTS))
    ]
    items = items if count > 1 else [(query, document) for query, document in items]
    sequences = network.encode(QUERIES, DOCUMENTS, items)
    return sequences.take(by_length(sequences.lengths)).on(torch.device("cpu"))


def scorer_of(network, hardware):
    """The network's scorer; none of a T5 in fp16, whose activations exceed it."""
    try:
        return network.inference(Session(hardware))
    except InputError:
        assert hardware.precision == "fp16" and "T5" in type(network).__name__
        return None


@pytest.fixture(params=HALVES)
def gpu(request, monkeypatch):
    """Hardware that computes as on a GPU, with the processor's tensors."""
    monkeypatch.setattr(Hardware, "device", torch.device("cpu"))
    monkeypatch.setattr(Hardware, "_multiplies_in_bf16", lambda _: True)
    monkeypatch.setattr(affine, "_has_blocked_linear", lambda: False)
    monkeypatch.setattr(affine, "_norms_mixed_dtypes", lambda _: False)
    return Hardware(accelerator="gpu", precision=request.param)


@pytest.mark.parametrize("kind", ALL_NETWORKS)
def test_every_network_scores_without_mixing_types(kind, gpu, tmp_path):
    network = ALL_NETWORKS[kind](tmp_path).network.eval()
    batch = batch_of(network)
    with torch.inference_mode():
        exact = scorer_of(network, Hardware())(batch)
        if (score := scorer_of(network, gpu)) is None:
            return
        with StrictDtypes(autocast=kind in AUTOCAST) as strict:
            scores = score(batch)
    assert strict.watched["linear"] > 0
    assert scores.dtype == torch.float32
    assert torch.corrcoef(torch.stack([exact, scores]))[0, 1] > 0.9
    assert (exact != scores).any()


@pytest.mark.parametrize("kind", ALL_NETWORKS)
def test_every_network_learns_under_autocast_without_mixing_types(kind, tmp_path):
    network = ALL_NETWORKS[kind](tmp_path).network.train()
    batch = batch_of(network)
    with StrictDtypes(autocast=True) as strict, torch.autocast("cpu", torch.bfloat16):
        network(batch).float().sum().backward()
    assert strict.watched.total() > 0
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    assert gradients
    assert all(gradient.isfinite().all() for gradient in gradients)


STATES, WEIGHT = torch.ones(1, 1, 3, 4), torch.ones(3, 4)
MIXED = {
    "linear": lambda dtype: F.linear(STATES[0, 0].to(dtype), WEIGHT),
    "mm": lambda dtype: STATES[0, 0].to(dtype) @ WEIGHT.T,
    "einsum": lambda dtype: torch.einsum("td,od->to", STATES[0, 0].to(dtype), WEIGHT),
    "norm": lambda dtype: F.layer_norm(STATES.to(dtype), (4,), WEIGHT[0], WEIGHT[0]),
    "attention": lambda dtype: F.scaled_dot_product_attention(
        *[STATES.to(dtype)] * 3, torch.zeros(3, 3)
    ),
}


@pytest.mark.parametrize("grad", [torch.inference_mode, torch.enable_grad])
@pytest.mark.parametrize("operation", MIXED)
def test_the_strict_processor_refuses_what_cuda_refuses_and_nothing_of_one_type(operation, grad):
    with grad(), StrictDtypes() as strict:
        MIXED[operation](torch.float32)
        assert strict.watched.total() > 0
        with pytest.raises(RuntimeError, match=r"got operands of torch\.bfloat16, torch\.float32"):
            MIXED[operation](torch.bfloat16)
        assert (STATES.bfloat16() + WEIGHT).dtype == torch.float32


def test_the_first_stage_encodes_without_mixing_types(gpu, tmp_path):
    encoder = BiEncoder(save_sentences(tmp_path, "mean"), max_length=24)
    exact = encoder.encode(DOCUMENTS)
    with StrictDtypes() as strict:
        found = replace(encoder, hardware=gpu).encode(DOCUMENTS)
    assert strict.watched["layer_norm"] > 0
    assert (exact * found).sum(axis=1).min() > 0.99


def test_on_a_processor_a_norm_keeps_its_weights_in_single_precision():
    norm = nn.LayerNorm(64)
    norm.weight.data = torch.linspace(0.5, 1.5, 64)
    states = torch.randn(50, 64, generator=torch.Generator().manual_seed(0)).bfloat16()
    expected = norm(states.float()).bfloat16()
    found = affine.layer_norm(norm, states)
    assert found.dtype == torch.bfloat16
    assert (found == expected).float().mean() > 0.99  # .74 with weights in bf16
