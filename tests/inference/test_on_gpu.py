"""Every kind of network on a GPU, beside what a processor computes in single precision."""

from dataclasses import replace

import pytest
import torch
from transformers import AutoModelForSequenceClassification

from recross.inference import static_batches
from recross.inference.encoders.affine import freeze_affine
from recross.inference.encoders.families import find_classifier
from recross.inference.encoders.packed_attention import attend_by_offsets, attend_first_by_offsets
from recross.inference.session import Session
from recross.inference.static_batches import GraphCapture, StaticBatches
from recross.machine.hardware import Hardware
from recross.retrieval.biencoder import BiEncoder
from recross.training.losses.pointwise import Pointwise
from tests.inference.encoders.test_bert import random_batch
from tests.inference.test_gpu_dtypes import ALL_NETWORKS, DOCUMENTS, batch_of, scorer_of
from tests.inference.test_static_batches import BY_OFFSETS, SIZES, in_one_segment
from tests.rerankers.test_dual_encoder import save_sentences
from tests.rerankers.test_every_network_learns import overfitted
from tests.slow_attention import attend_slowly

AGREEMENT = {"fp32": 0.99999, "bf16": 0.9, "fp16": 0.99}
"""Least correlation of scores with those of single precision on a processor."""

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU"),
]


@pytest.fixture(params=AGREEMENT)
def gpu(request):
    hardware = Hardware(accelerator="gpu", precision=request.param, tokens_per_batch=4096)
    hardware.prepare()
    return hardware


@pytest.mark.parametrize("kind", ALL_NETWORKS)
def test_a_gpu_gives_the_processors_scores(kind, gpu, tmp_path):
    network = ALL_NETWORKS[kind](tmp_path).network.eval()
    batch = batch_of(network)
    with torch.inference_mode():
        exact = scorer_of(network, Hardware())(batch)
        if (score := scorer_of(network, gpu)) is None:
            return
        scores = score(batch.to(gpu.device)).cpu()
    assert scores.dtype == torch.float32
    assert torch.corrcoef(torch.stack([exact, scores]))[0, 1] > AGREEMENT[gpu.precision]


@pytest.mark.parametrize("kind", ALL_NETWORKS)
def test_gradients_on_a_gpu_are_the_processors(kind, tmp_path):
    network = ALL_NETWORKS[kind](tmp_path).network.eval()  # without dropout
    gradients = {}
    for device in ("cpu", "cuda"):
        network.to(device).zero_grad()
        network(batch_of(network).to(torch.device(device))).sum().backward()
        learned = {n: p.grad for n, p in network.named_parameters() if p.grad is not None}
        gradients[device] = {name: gradient.cpu().clone() for name, gradient in learned.items()}
    assert gradients["cpu"].keys() == gradients["cuda"].keys()
    for name, gradient in gradients["cpu"].items():
        found = gradients["cuda"][name]
        torch.testing.assert_close(found, gradient, atol=2e-3, rtol=2e-3)


@pytest.mark.parametrize("kind", ALL_NETWORKS)
def test_every_network_learns_in_half_precision(kind, tmp_path):
    network = ALL_NETWORKS[kind](tmp_path).network.train().to("cuda")
    batch = batch_of(network).to(torch.device("cuda"))
    with torch.autocast("cuda", torch.bfloat16):
        network(batch).float().sum().backward()
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    assert gradients
    assert all(gradient.isfinite().all() for gradient in gradients)


def test_the_first_stage_encodes_on_a_gpu(gpu, tmp_path):
    encoder = BiEncoder(save_sentences(tmp_path, "mean"), max_length=24)
    exact = encoder.encode(DOCUMENTS, "document")
    vectors = replace(encoder, hardware=gpu).encode(DOCUMENTS, "document")
    assert (exact * vectors).sum(axis=1).min() > 0.99


def test_training_on_a_gpu_overfits_twenty_queries(tmp_path):
    reranker = ALL_NETWORKS["bert"](tmp_path / "source")
    hardware = Hardware(accelerator="gpu", precision="bf16", tokens_per_batch=4096)
    assert overfitted(reranker, Pointwise(), tmp_path, hardware=hardware) == 1.0


CUDA = torch.device("cuda")


def on_gpu(seed, count):
    return in_one_segment(random_batch(seed, count)).to(CUDA)


def halved_forward(checkpoint, first_only=True):
    """The forward of a classifier in bf16 on the GPU."""
    model = AutoModelForSequenceClassification.from_pretrained(checkpoint).eval().to(CUDA)
    make = freeze_affine(torch.bfloat16, 512)
    family = find_classifier(model)
    return family.forward(model, make, torch.bfloat16, first_only=first_only)


def replayed(static):
    """How many shapes were captured, and not run anew for every batch."""
    return sum("GraphCapture" in run.replay.__qualname__ for run in static._runs.values())


@pytest.mark.parametrize("kind", BY_OFFSETS)
def test_replayed_graphs_give_what_the_same_batches_give_alone(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(static_batches, "LEAST_TOKENS", 64)
    forward = halved_forward(BY_OFFSETS[kind](tmp_path), "mean" not in kind)
    static = StaticBatches(forward.logits, GraphCapture())
    with torch.inference_mode():
        for seed, count in enumerate([*SIZES, *SIZES]):
            batch = on_gpu(seed, count)
            alone = forward.logits(batch)
            torch.testing.assert_close(static(batch), alone, atol=0.02, rtol=0.02)
    assert replayed(static) == len(static._runs) > 1


def test_results_stay_as_they_are_when_the_next_batch_is_replayed(tmp_path):
    forward = halved_forward(BY_OFFSETS["bert"](tmp_path))
    static = StaticBatches(forward.logits, GraphCapture())
    with torch.inference_mode():
        batches = [on_gpu(seed, 20) for seed in range(4)]
        together = [static(batch) for batch in batches]
        for batch, values in zip(batches, together, strict=True):
            torch.testing.assert_close(static(batch), values, atol=0, rtol=0)


def test_graphs_are_captured_again_after_a_batch_that_did_not_fit(tmp_path):
    forward, refused = halved_forward(BY_OFFSETS["bert"](tmp_path)), []

    def limited(batch):
        if len(batch.tokens) > 1_024:
            refused.append(len(batch.tokens))
            torch.empty(2**50, dtype=torch.uint8, device=CUDA)
        return forward.logits(batch)

    static = StaticBatches(limited, GraphCapture())
    with torch.inference_mode():
        for seed, count in enumerate([20, 130, 130, 20]):
            batch = on_gpu(seed, count)
            alone = forward.logits(batch)
            torch.testing.assert_close(static(batch), alone, atol=0.02, rtol=0.02)
    assert len(refused) == 1
    assert replayed(static) == len(static._runs) > 0


def test_what_cannot_be_captured_runs_on_the_stream_that_it_was_asked_on(caplog):
    def waits(batch):
        return batch.layout.offsets.diff() + int(batch.tokens[0])

    before, batch = torch.cuda.current_stream(), on_gpu(0, 20)
    with torch.inference_mode():
        values = StaticBatches(waits, GraphCapture())(batch)
        assert torch.cuda.current_stream() == before
        assert values.tolist() == waits(batch).tolist()
    assert "cannot be captured" in caplog.text


@pytest.mark.filterwarnings("default")  # a compiler's own
@pytest.mark.parametrize("kind", ["bert", "modernbert"])
def test_a_compiled_scorer_gives_what_the_other_one_gives(kind, tmp_path, caplog):
    network = ALL_NETWORKS[kind](tmp_path).network.eval()
    batch = batch_of(network).to(CUDA)
    tokens = len(batch.tokens)
    eager = Hardware(accelerator="gpu", precision="bf16", tokens_per_batch=tokens)
    with torch.inference_mode():
        scores, compiled = (
            network.inference(Session(hardware))(batch)
            for hardware in (eager, replace(eager, backend="torch_compile"))
        )
    assert torch.corrcoef(torch.stack([scores, compiled]))[0, 1] > 0.9
    assert "cannot be" not in caplog.text


@pytest.mark.parametrize("window", [None, 4])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_the_kernel_attends_as_a_slow_loop_does(dtype, window):
    layout = random_batch().layout
    total, scale = int(layout.offsets[-1]), 0.3
    states = torch.randn(3, total, 4, 32, dtype=dtype)
    weight = torch.randn(total, 128)
    gradients = []
    for device in ("cpu", "cuda"):
        learned = states.detach().clone().to(device).requires_grad_()
        query, key, value = learned
        if device == "cuda":
            out = attend_by_offsets(
                query, key, value, layout.to(CUDA), scale=scale, window=window
            ).cpu()
        else:
            ends = (layout.offsets, layout.offsets, layout.longest, layout.longest)
            parts = (part.float() for part in (query, key, value))
            out = attend_slowly(*parts, *ends, scale=scale, window=window).flatten(1)
        (gradient,) = torch.autograd.grad((out.float() * weight).sum(), learned)
        gradients.append((out.float(), gradient.cpu().float()))
    torch.testing.assert_close(*gradients, atol=0.1, rtol=0.05)


def test_the_kernel_attends_from_first_tokens_as_a_slow_loop_does():
    layout = random_batch().layout
    count, total = len(layout.offsets) - 1, int(layout.offsets[-1])
    query = torch.randn(count, 4, 32, dtype=torch.bfloat16)
    key, value = torch.randn(2, total, 4, 32, dtype=torch.bfloat16)
    each = torch.arange(count + 1, dtype=torch.int32)
    parts = (part.float() for part in (query, key, value))
    slow = attend_slowly(*parts, each, layout.offsets, 1, layout.longest).flatten(1)
    moved = (part.to(CUDA) for part in (query, key, value))
    found = attend_first_by_offsets(*moved, layout.to(CUDA)).cpu().float()
    torch.testing.assert_close(found, slow, atol=0.02, rtol=0.02)
