"""Kernels are chosen by what a probe times, and torch's only for a clear gain found twice."""

import itertools

import pytest
import torch

from recross.errors import InputError
from recross.inference.encoders import affine
from recross.inference.encoders.affine import block_affine, freeze_affine, plain_affine
from recross.inference.encoders.kernels import describe_kernels
from recross.inference.encoders.one_by_one import attend_fused, attend_one_by_one
from recross.machine import probes
from recross.machine.known_processors import find_resembling
from recross.machine.probes import KernelChoice, choose


@pytest.fixture
def clock(monkeypatch):
    """Kernels are numbers here: each takes so many seconds, with what the noise adds."""
    monkeypatch.delenv(probes.VARIABLE, raising=False)
    noise = itertools.repeat(0.0)

    def noisy(*added):
        nonlocal noise
        noise = itertools.cycle(added)

    monkeypatch.setattr(probes, "take_time", lambda seconds: seconds + next(noise))
    return noisy


@pytest.mark.parametrize(
    ("own", "torchs", "is_own"),
    [(1.0, 2.0, True), (1.0, 1.0, True), (1.0, 0.92, True), (1.0, 0.9, False), (2.0, 1.0, False)],
)
def test_ours_is_left_for_a_clear_gain_alone(clock, own, torchs, is_own):
    clock(0.0)
    assert choose(own, torchs) == KernelChoice(is_own, pytest.approx(own / torchs))


def test_load_that_comes_and_goes_decides_nothing(clock):
    clock(5.0, 0.0, 0.0, 7.0, 3.0)  # of five calls two are undisturbed, ours and torch's in turn
    assert choose(1.0, 1.0).is_own


def test_a_gain_that_is_not_found_again_decides_nothing(monkeypatch):
    monkeypatch.delenv(probes.VARIABLE, raising=False)
    gains = iter([1.4, 0.9])
    monkeypatch.setattr(probes, "measure_gain", lambda *_: next(gains))
    assert choose(None, None) == KernelChoice(True, 0.9)


def test_the_environment_decides_without_a_probe(monkeypatch):
    monkeypatch.setattr(probes, "measure_gain", None)
    monkeypatch.setenv(probes.VARIABLE, "own")
    assert choose(None, None) == KernelChoice(True, None)
    monkeypatch.setenv(probes.VARIABLE, "torch")
    assert choose(None, None) == KernelChoice(False, None)
    monkeypatch.setenv(probes.VARIABLE, "mkl")
    with pytest.raises(InputError, match="RECROSS_KERNELS must be own or torch, got 'mkl'"):
        choose(None, None)


def test_both_forms_of_attention_are_equal():
    projected = torch.randn(4 * 30, 3 * 64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        attend_one_by_one(projected, 2, [(4, 30)]),
        attend_fused(projected, 2, 4, 30),
        atol=1e-5,
        rtol=0,
    )


@pytest.mark.skipif(
    not affine.multiplies_blocked(torch.float32), reason="torch has no blocked product here"
)
def test_both_forms_of_a_linear_layer_are_equal():
    generator = torch.Generator().manual_seed(0)
    states, weight = (torch.randn(rows, 64, generator=generator) for rows in (20, 16))
    bias = torch.randn(16, generator=generator)
    torch.testing.assert_close(
        block_affine(weight, bias, 20)(states, "gelu"),
        plain_affine(weight, bias)(states, "gelu"),
        atol=1e-5,
        rtol=0,
    )


@pytest.mark.parametrize("is_own", [True, False])
def test_frozen_layers_take_the_chosen_form(is_own, monkeypatch):
    monkeypatch.setattr(affine, "multiplies_blocked", lambda _: True)
    monkeypatch.setattr(affine, "choose_blocked", lambda _: KernelChoice(is_own, 1.0))
    monkeypatch.setattr(affine, "block_affine", lambda *_: "blocked")
    monkeypatch.setattr(affine, "plain_affine", lambda *_: "plain")
    made = freeze_affine(torch.float32, 8)([torch.nn.Linear(4, 2)])
    assert made == ("blocked" if is_own else "plain")


def test_weights_elsewhere_than_on_a_processor_ask_for_no_probe(monkeypatch):
    monkeypatch.setattr(affine, "choose_blocked", None)
    freeze_affine(torch.float32, 8)([torch.nn.Linear(4, 2, device="meta")])


def test_every_kernel_with_two_forms_is_described():
    assert describe_kernels().keys() == {
        "attention, fp32",
        "linear layers, fp32",
        "linear layers, bf16",
    }
    assert str(KernelChoice(True, 0.8)) == "ours (measured: torch's takes 1.25 of its time)"


@pytest.mark.parametrize(
    ("flags", "name"),
    [
        ({"avx2", "avx512f", "avx512_bf16", "amx_bf16"}, "Xeon with AMX"),
        ({"avx2", "avx512f", "avx512_bf16"}, "EPYC with AVX-512 and bfloat16"),
        ({"avx2", "avx512f"}, "Xeon with AVX-512, no AMX"),
        ({"avx2"}, "EPYC with AVX2 only"),
    ],
)
def test_a_processor_resembles_the_measured_one_with_its_instructions(flags, name):
    assert find_resembling(flags).name == name
    assert find_resembling(frozenset()) is None
