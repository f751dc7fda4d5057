"""Every back-end gives torch's scores, whatever stands beside them; what is missing is said."""

import numpy as np
import pytest
import torch

from recross import load_reranker
from recross.errors import InputError
from recross.inference.encoders.backends import int8_affine
from recross.inference.encoders.backends.int8_affine import quantise_rows, quantise_weight
from recross.inference.session import Session
from recross.machine import backends as machine_backends
from recross.machine.hardware import Hardware
from recross.rerankers.cross_encoder import CrossEncoder
from recross.rerankers.t5 import T5Reranker
from tests.conftest import needs_int8, save_tiny
from tests.rerankers.test_cross_encoder import mixed_pairs


def manifests(store):
    return sorted(store.glob("onnx/*/manifest.json"))


@pytest.mark.parametrize("budget", [1, 300, 100_000])
def test_onnx_scores_equal_torchs_whatever_the_batch_budget(tiny_bert, tmp_path_factory, budget):
    store = tmp_path_factory.getbasetemp() / "onnx-store"  # one export for the three
    pairs = mixed_pairs(100)
    onnx = Session(Hardware(backend="onnx", tokens_per_batch=budget, threads=1), store)
    expected = load_reranker(tiny_bert).predict(pairs)
    assert expected.std() > 0.01
    found = onnx.over(load_reranker(tiny_bert)).predict(pairs)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert len(manifests(store)) == 1


@pytest.mark.ci  # exports twice
def test_an_export_is_found_again_and_a_changed_weight_makes_another(tiny_bert, tmp_path):
    onnx = Session(Hardware(backend="onnx", threads=1), tmp_path)
    network = CrossEncoder(str(tiny_bert)).load()
    network.inference(onnx)
    (first,) = manifests(tmp_path)
    made = first.stat().st_mtime_ns
    network.inference(onnx)
    assert [path.stat().st_mtime_ns for path in manifests(tmp_path)] == [made]
    with torch.no_grad():
        network.model.classifier.weight.add_(1.0)
    network.inference(onnx)
    assert len(manifests(tmp_path)) == 2


@pytest.mark.ci
def test_a_network_that_is_never_packed_is_exported_too(tmp_path):
    folder = save_tiny(tmp_path / "relu", hidden_act="relu")
    pairs = mixed_pairs(20)
    onnx = Session(Hardware(backend="onnx", threads=1), tmp_path / "store")
    np.testing.assert_allclose(
        onnx.over(load_reranker(folder)).predict(pairs),
        load_reranker(folder).predict(pairs),
        atol=1e-4,
    )


def test_a_backend_without_its_packages_names_the_extra(monkeypatch):
    monkeypatch.setattr(machine_backends, "is_installed", lambda _: False)
    with pytest.raises(InputError, match=r"without onnx, onnxruntime, .*recross\[onnx\]"):
        Hardware(backend="onnx")


@pytest.mark.parametrize(
    "given, problem",
    [
        ({"backend": "onnx", "precision": "bf16"}, "onnx needs precision=fp32, got 'bf16'"),
        ({"backend": "torch_int8", "accelerator": "gpu"}, "int8 needs accelerator=cpu, got 'gpu'"),
    ],
)
def test_a_backend_refuses_what_it_cannot_keep(given, problem):
    with pytest.raises(InputError, match=problem):
        Hardware(**given)


def test_networks_without_other_backends_refuse_them(tiny_t5, tmp_path):
    int8 = Hardware(backend="torch_int8")
    t5 = T5Reranker(str(tiny_t5), contract="monot5", hardware=int8)
    with pytest.raises(InputError, match="backend must be torch for a T5 network, got"):
        t5.predict([("a", "b")])
    relu = load_reranker(save_tiny(tmp_path / "relu", hidden_act="relu"), hardware=int8)
    with pytest.raises(InputError, match="torch_int8 needs a classifier of .* bert or electra"):
        relu.predict([("a", "b")])


@needs_int8
def test_int8_scores_are_near_fp32s_and_do_not_depend_on_their_neighbours(tiny_bert):
    pairs = mixed_pairs(100)
    found = [
        load_reranker(
            tiny_bert, hardware=Hardware(backend="torch_int8", tokens_per_batch=budget)
        ).predict(pairs)
        for budget in (1, 300, 100_000)
    ]
    expected = load_reranker(tiny_bert).predict(pairs)
    assert 0 < np.abs(found[0] - expected).max() < 0.1
    np.testing.assert_allclose(found[1], found[0], atol=1e-4)
    np.testing.assert_allclose(found[2], found[0], atol=1e-4)


def test_int8_is_refused_where_bytes_saturate(tiny_bert, monkeypatch):
    monkeypatch.setattr(int8_affine, "read_cpu_flags", lambda: frozenset({"avx2"}))
    reranker = load_reranker(tiny_bert, hardware=Hardware(backend="torch_int8"))
    with pytest.raises(InputError, match="needs a processor with 8-bit dot products"):
        reranker.predict([("a", "b")])


def test_the_compiled_forward_scores_like_torchs(tiny_bert, monkeypatch):
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda model, **_: compiled.append(model) or model)
    pairs = mixed_pairs(40)
    found = load_reranker(tiny_bert, hardware=Hardware(backend="torch_compile")).predict(pairs)
    assert len(compiled) == 1
    np.testing.assert_allclose(found, load_reranker(tiny_bert).predict(pairs), atol=1e-4)


def test_a_code_is_off_by_half_a_step_at_most():
    states = torch.tensor([[1.0, -1.55, 0.5, 0.013], [2.0, 2.0, 2.0, 2.0]])
    codes, low, steps = quantise_rows(states)
    assert steps[0].item() == pytest.approx(0.01)
    assert low[:, 0].tolist() == pytest.approx([-1.55, 2.0])
    assert codes[0].tolist() == [255, 0, 205, 156]  # 255, 0, 205, 156.3
    torch.testing.assert_close(low + steps * codes, states, atol=0.005, rtol=0)
    weight, steps = quantise_weight(torch.tensor([[1.27, -0.5], [0.0, 0.0]]))
    assert weight.tolist() == [[127, -50], [0, 0]]
    assert steps[0].item() == pytest.approx(0.01)
