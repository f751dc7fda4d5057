"""Every kind of network on a GPU, beside what a processor computes in single precision."""

from dataclasses import replace

import pytest
import torch

from recross.machine.hardware import Hardware
from recross.retrieval.biencoder import BiEncoder
from recross.training.losses.pointwise import Pointwise
from tests.inference.test_gpu_dtypes import ALL_NETWORKS, DOCUMENTS, batch_of, scorer_of
from tests.rerankers.test_dual_encoder import save_sentences
from tests.rerankers.test_every_network_learns import overfitted

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
    exact = encoder.encode(DOCUMENTS)
    vectors = replace(encoder, hardware=gpu).encode(DOCUMENTS)
    assert (exact * vectors).sum(axis=1).min() > 0.99


def test_training_on_a_gpu_overfits_twenty_queries(tmp_path):
    reranker = ALL_NETWORKS["bert"](tmp_path / "source")
    hardware = Hardware(accelerator="gpu", precision="bf16", tokens_per_batch=4096)
    assert overfitted(reranker, Pointwise(), tmp_path, hardware=hardware) == 1.0
