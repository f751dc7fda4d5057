import pytest
import torch

from recross import hardware
from recross.errors import InputError
from recross.hardware import Hardware
from recross.seeding import generator


def test_a_generator_depends_on_seed_purpose_and_name_alone():
    draw = generator(1, "negatives", "q1").integers(1 << 30)
    assert draw == generator(1, "negatives", "q1").integers(1 << 30)
    others = [(2, "negatives", "q1"), (1, "order", "q1"), (1, "negatives", "q2")]
    assert all(generator(*other).integers(1 << 30) != draw for other in others)


def test_bf16_falls_back_where_the_processor_lacks_it(monkeypatch):
    monkeypatch.setattr(hardware, "cpu_flags", lambda: frozenset({"avx2"}))
    assert Hardware(precision="bf16").effective_precision == "fp32"
    monkeypatch.setattr(hardware, "cpu_flags", lambda: frozenset({"avx512_bf16"}))
    assert Hardware(precision="bf16").dtype == torch.bfloat16


@pytest.mark.parametrize("faster, expected", [(True, "bf16"), (False, "fp32")])
def test_fastest_takes_what_the_probe_finds(monkeypatch, faster, expected):
    monkeypatch.setattr(hardware, "cpu_flags", lambda: frozenset({"avx512_bf16"}))
    monkeypatch.setattr(hardware, "bf16_is_faster", lambda: faster)
    assert Hardware(precision="fastest").effective_precision == expected


def test_a_gpu_that_is_not_there_is_refused():
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(InputError, match="accelerator must be one this machine has"):
        _ = Hardware(accelerator="gpu").device


def test_budgets_must_be_positive():
    with pytest.raises(InputError, match="tokens_per_batch must be at least 1, got 0"):
        Hardware(tokens_per_batch=0)
