"""What a GPU computes in half precision, on a processor made as strict about types."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from transformers import AutoConfig, BertForMaskedLM

from recross.checkpoints.first_stage_contracts import SparseContract
from recross.checkpoints.source import load_tokenizer
from recross.errors import InputError
from recross.inference.encoders import (
    affine,
    attention,
    causal_attention,
    packed_attention,
    t5_decoder,
)
from recross.inference.late_interaction.encoding import make_document_encoder
from recross.inference.sequences import by_length
from recross.inference.session import Session
from recross.inference.texts.texts import GivenTexts
from recross.machine.hardware import Hardware
from recross.rerankers.causal import CausalReranker
from recross.rerankers.cross_encoder import CrossEncoder
from recross.rerankers.dual_encoder import DualEncoder
from recross.rerankers.t5 import T5Reranker
from recross.retrieval.biencoder import BiEncoder
from recross.retrieval.sparse_encoder import SparseEncoder
from recross.training.losses.listwise import Listwise
from recross.training.losses.loss import Loss
from recross.training.losses.pointwise import AnswerLikelihood
from recross.training.module import RankingModule
from tests.conftest import save_tiny, save_tiny_llama, save_tiny_t5
from tests.inference.encoders.test_modernbert import save_tiny_modernbert
from tests.rerankers.test_dual_encoder import save_sentences
from tests.rerankers.test_every_network_learns import NETWORKS, YES_NO
from tests.strict_dtypes import CudaAutocast, StrictDtypes, attend_strictly
from tests.training import test_resume
from tests.training.learning import LOSSES, Learner, loss_for, step_of

QUERIES = ["red cat", "a very white owl"]
DOCUMENTS = ["here lives a red cat", "an owl", "white dog and more words " * 4, "a blue bee"]
ALL_NETWORKS = {
    **NETWORKS,
    "electra": lambda f: CrossEncoder(str(save_tiny(f, "electra", labels=1))),
    "roberta": lambda f: CrossEncoder(str(save_tiny(f, "roberta", labels=1))),
    "bert-span-cosine": lambda f: CrossEncoder(
        str(save_tiny(f)), fresh_head=True, head="span_cosine", max_length=32
    ),
    "distilbert": lambda f: CrossEncoder(str(save_tiny(f, "distilbert")), max_length=32),
    "mpnet": lambda f: CrossEncoder(str(save_tiny(f, "mpnet")), max_length=32),
    "bert-padded": lambda f: CrossEncoder(str(save_tiny(f, hidden_act="relu"))),
    "mt5": lambda f: t5_of(f, "mt5", feed_forward_proj="gated-gelu"),
    "bi-encoder-mean": lambda f: DualEncoder(save_sentences(f, "mean"), max_length=24),
    "bi-encoder-cls": lambda f: DualEncoder(save_sentences(f, "cls"), max_length=24),
    "modernbert": lambda f: CrossEncoder(str(save_tiny_modernbert(f)), max_length=32),
    "qwen3": lambda f: CausalReranker(str(save_tiny_llama(f, kind="Qwen3")), contract=YES_NO),
    "causal-padded": lambda f: CausalReranker(
        str(save_tiny_llama(f, kind="Granite")), contract=YES_NO
    ),
}
EVERY_NETWORK = {
    **ALL_NETWORKS,
    "t5-padded": lambda f: t5_of(f, "t5", feed_forward_proj="silu"),
    "bert-two-segments": lambda f: CrossEncoder(str(save_tiny(f, type_vocab_size=1))),
    "modernbert-mean": lambda f: CrossEncoder(
        str(save_tiny_modernbert(f, classifier_pooling="mean")), max_length=32
    ),
}
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


def as_on_cuda(monkeypatch, by_offsets):
    """Attend by offsets and in blocks, as a GPU does in half precision, or group by group."""
    if by_offsets:
        for module in (attention, causal_attention):
            monkeypatch.setattr(module, "has_kernel_for", lambda _, dtype: dtype in HALVES.values())
        monkeypatch.setattr(packed_attention, "find_kernel", lambda: attend_strictly)
        for module in (attention, t5_decoder):
            monkeypatch.setattr(module, "works_in_blocks", lambda _: True)


@pytest.mark.parametrize("by_offsets", [False, True], ids=["by-groups", "by-offsets"])
@pytest.mark.parametrize("kind", EVERY_NETWORK)
def test_every_network_scores_without_mixing_types(kind, by_offsets, gpu, tmp_path, monkeypatch):
    network = EVERY_NETWORK[kind](tmp_path).network.eval()
    batch = batch_of(network)
    with torch.inference_mode():
        exact = scorer_of(network, Hardware())(batch)
        as_on_cuda(monkeypatch, by_offsets)
        if (score := scorer_of(network, gpu)) is None:
            return
        with CudaAutocast(), StrictDtypes() as strict:
            scores = score(batch)
    assert strict.watched["linear"] > 0
    assert scores.dtype == torch.float32
    assert torch.corrcoef(torch.stack([exact, scores]))[0, 1] > 0.9
    assert (exact != scores).any()


def may_learn_in(network, precision):
    """Whether a network can be computed in a precision at all."""
    return precision in network.family.precisions


def take_step(network, loss, precision):
    """Take a step of training as on a GPU, and refuse what that refuses."""
    step, learner = step_of(network), Learner(network, loss)
    autocast = torch.autocast("cpu", HALVES[precision])
    with CudaAutocast(), StrictDtypes() as strict, autocast:
        learned = step.learn(learner)
    assert strict.watched.total() > 0
    assert learned.loss.dtype == torch.float32
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    assert gradients
    assert all(gradient.isfinite().all() for gradient in gradients)


@pytest.mark.parametrize("by_offsets", [False, True], ids=["by-groups", "by-offsets"])
@pytest.mark.parametrize("precision", HALVES)
@pytest.mark.parametrize("kind", EVERY_NETWORK)
def test_every_network_learns_without_mixing_types(
    kind, precision, by_offsets, tmp_path, monkeypatch
):
    network = EVERY_NETWORK[kind](tmp_path).network.train()
    as_on_cuda(monkeypatch, by_offsets)
    if may_learn_in(network, precision):
        take_step(network, loss_for(network, Listwise()), precision)


@pytest.mark.parametrize("precision", HALVES)
@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
@pytest.mark.parametrize("kind", ["bert", "bi-encoder-mean", "colbert"])
def test_every_loss_is_learned_from_without_mixing_types(kind, loss, precision, tmp_path):
    take_step(EVERY_NETWORK[kind](tmp_path).network.train(), loss, precision)


def test_losses_of_every_kind_are_among_those():
    known = {type(loss) for loss in LOSSES} | {AnswerLikelihood}
    own = {kind for kind in Loss.__subclasses__() if kind.__module__.startswith("recross.")}
    assert known == own


@pytest.mark.parametrize("recompute", [False, True])
def test_a_whole_training_in_bf16_mixes_no_types(recompute, tmp_path, monkeypatch):
    monkeypatch.setattr(Hardware, "_multiplies_in_bf16", lambda _: True)
    monkeypatch.setattr(RankingModule, "is_on_gpu", True)
    monkeypatch.setattr(affine, "_norms_mixed_dtypes", lambda _: False)
    monkeypatch.setattr(affine, "_has_blocked_linear", lambda: False)
    monkeypatch.setattr(test_resume, "Hardware", lambda **more: Hardware(precision="bf16", **more))
    settings = {"steps": 2, "validations": 1, "averaging": 0.9, "gradient_checkpointing": recompute}
    with CudaAutocast(), StrictDtypes() as strict:
        test_resume.train(tmp_path / "out", save_tiny(tmp_path / "source"), **settings)
    assert strict.watched.total() > 0


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
    exact = encoder.encode(DOCUMENTS, "document")
    with CudaAutocast(), StrictDtypes() as strict:
        found = replace(encoder, hardware=gpu).encode(DOCUMENTS, "document")
    assert strict.watched["layer_norm"] > 0
    assert (exact * found).sum(axis=1).min() > 0.99


def test_the_sparse_first_stage_encodes_without_mixing_types(gpu, tmp_path):
    model = BertForMaskedLM(AutoConfig.from_pretrained(save_tiny(tmp_path))).eval()
    encoder = SparseEncoder(
        *(model, load_tokenizer(str(tmp_path)), SparseContract("x"), Hardware())
    )
    exact = encoder.encode(DOCUMENTS, 24).weights.toarray()
    with CudaAutocast(), StrictDtypes() as strict:
        found = replace(encoder, hardware=gpu).encode(DOCUMENTS, 24).weights.toarray()
    assert strict.watched["linear"] > 0
    np.testing.assert_allclose(found, exact, atol=0.4)  # weights are about 1
    assert np.abs(found - exact).mean() < 0.02


def test_late_interaction_encodes_documents_without_mixing_types(gpu, tmp_path):
    network = ALL_NETWORKS["colbert"](tmp_path).network.eval()
    documents = GivenTexts(DOCUMENTS)
    exact = [vectors for vectors, _ in make_document_encoder(network, Hardware())(documents)]
    with CudaAutocast(), StrictDtypes() as strict:
        found = [vectors for vectors, _ in make_document_encoder(network, gpu)(documents)]
    assert strict.watched["linear"] > 0
    for vectors, expected in zip(found, exact, strict=True):
        assert (vectors * expected).sum(axis=1).min() > 0.97


PACKED = {
    "varlen": lambda *states: torch.ops.torch_attn._varlen_attn(*states, OFFSETS, OFFSETS, 3, 3),
    "flash": lambda *states: torch.ops.aten._flash_attention_forward(
        *states, OFFSETS, OFFSETS, 3, 3, 0.0, False, False
    ),
    "loop": lambda *states: attend_strictly(*states, OFFSETS, OFFSETS, 3, 3),
}
OFFSETS = torch.tensor([0, 3], dtype=torch.int32)


@pytest.mark.parametrize("how", PACKED)
def test_packed_attention_is_refused_two_types_and_single_precision(how):
    pytest.importorskip("torch.nn.attention.varlen")
    states = torch.ones(3, 2, 8)
    with StrictDtypes():
        with pytest.raises(RuntimeError, match="got operands of torch.bfloat16, torch.float32"):
            PACKED[how](states.bfloat16(), states, states)
        with pytest.raises(RuntimeError, match="takes half precision, got operands of torch.float"):
            PACKED[how](states, states, states)


def test_autocast_is_that_of_cuda():
    states, weight = torch.randn(3, 4).bfloat16(), torch.ones(4)
    with torch.autocast("cpu", torch.bfloat16), CudaAutocast():
        assert F.layer_norm(states, (4,), weight, weight).dtype == torch.float32
        assert states.softmax(dim=-1).dtype == torch.float32
        assert F.linear(states, weight[None]).dtype == torch.bfloat16
    with CudaAutocast():
        assert states.softmax(dim=-1).dtype == torch.bfloat16


def test_on_a_processor_a_norm_keeps_its_weights_in_single_precision():
    norm = nn.LayerNorm(64)
    norm.weight.data = torch.linspace(0.5, 1.5, 64)
    states = torch.randn(50, 64, generator=torch.Generator().manual_seed(0)).bfloat16()
    expected = norm(states.float()).bfloat16()
    found = affine.layer_norm(norm, states)
    assert found.dtype == torch.bfloat16
    assert (found == expected).float().mean() > 0.99  # .74 with weights in bf16
