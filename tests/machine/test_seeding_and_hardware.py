import sys
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from recross.errors import InputError
from recross.inference.session import Session
from recross.machine import hardware
from recross.machine.hardware import Hardware
from recross.seeding import make_generator
from recross.training.losses.listwise import Listwise
from recross.training.module import RankingModule
from recross.training.recipe import FineTuning, TrainingPlan


def test_a_generator_depends_on_seed_purpose_and_name_alone():
    draw = make_generator(1, "negatives", "q1").integers(1 << 30)
    assert draw == make_generator(1, "negatives", "q1").integers(1 << 30)
    others = [(2, "negatives", "q1"), (1, "order", "q1"), (1, "negatives", "q2")]
    assert all(make_generator(*other).integers(1 << 30) != draw for other in others)


def test_bf16_falls_back_where_the_processor_lacks_it(monkeypatch):
    monkeypatch.setattr(hardware, "read_cpu_flags", lambda: frozenset({"avx2"}))
    assert Hardware(precision="bf16").effective_precision == "fp32"
    monkeypatch.setattr(hardware, "read_cpu_flags", lambda: frozenset({"avx512_bf16"}))
    assert Hardware(precision="bf16").dtype == torch.bfloat16


@pytest.mark.parametrize("faster, expected", [(True, "bf16"), (False, "fp32")])
def test_fastest_takes_what_the_probe_finds(monkeypatch, faster, expected):
    monkeypatch.setattr(hardware, "read_cpu_flags", lambda: frozenset({"avx512_bf16"}))
    monkeypatch.setattr(hardware, "bf16_is_faster", lambda: faster)
    assert Hardware(precision="fastest").effective_precision == expected


def test_a_gpu_that_is_not_there_is_refused():
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(InputError, match="accelerator must be one this machine has"):
        _ = Hardware(accelerator="gpu").device


NO_GPU = "accelerator must be one this machine has (cpu), got 'gpu'"


def test_linux_without_a_driver_of_gpus_is_known_without_torch(tmp_path, monkeypatch):
    monkeypatch.setattr(hardware, "DEVICE_FILES", tmp_path)
    monkeypatch.setattr(hardware.sys, "platform", "linux")
    monkeypatch.setitem(sys.modules, "torch", None)  # importing it raises
    target = Hardware(accelerator="gpu", precision="fastest")
    assert list(target.find_lacks()) == [NO_GPU]
    assert target.effective_precision == "bf16"  # of the GPU that is elsewhere


@pytest.mark.parametrize("file", ["nvidia0", "nvidiactl", "nvmap", "dxg", "kfd", "nvme0"])
def test_where_a_driver_has_a_file_torch_says_whether_there_is_a_gpu(tmp_path, monkeypatch, file):
    monkeypatch.setattr(hardware, "DEVICE_FILES", tmp_path)
    monkeypatch.setattr(hardware.sys, "platform", "linux")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    (tmp_path / file).touch()
    lacks = list(Hardware(accelerator="gpu").find_lacks())
    assert lacks == ([NO_GPU] if file == "nvme0" else [])  # which is a disk


@pytest.fixture
def attention_of_cudnn():
    before = torch.backends.cuda.cudnn_sdp_enabled()
    torch.backends.cuda.enable_cudnn_sdp(True)
    yield torch.backends.cuda.cudnn_sdp_enabled
    torch.backends.cuda.enable_cudnn_sdp(before)


def test_preparing_a_gpu_switches_cudnns_attention_off_and_a_processor_leaves_it(
    attention_of_cudnn,
):
    Hardware().prepare()
    assert attention_of_cudnn()
    Hardware(accelerator="gpu").prepare()
    assert not attention_of_cudnn()


def test_each_process_of_a_training_prepares_its_own(attention_of_cudnn):
    """Spawned processes begin with torch's defaults, whatever the first one has set."""
    gpu, untrained = Hardware(accelerator="gpu"), SimpleNamespace(network=nn.Linear(1, 1))
    module = RankingModule(untrained, TrainingPlan(Listwise(), FineTuning()), Session(gpu), None)
    module.setup("fit")
    assert not attention_of_cudnn()


def test_sums_have_the_same_order_on_as_many_threads_and_devices_alone(monkeypatch):
    monkeypatch.setattr("torch.get_num_threads", lambda: 3)
    assert Hardware().summation == Hardware(threads=3).summation
    others = [Hardware(threads=2), Hardware(devices=2), Hardware(accelerator="gpu")]
    orders = [hardware.summation for hardware in (Hardware(), *others)]
    assert len({tuple(sorted(map(str, order.items()))) for order in orders}) == 4
    gpu = Hardware(accelerator="gpu", threads=2)
    assert gpu.summation == Hardware(accelerator="gpu").summation
    assert Hardware(threads=2).identity == Hardware().identity  # scores are asked for alike


def test_budgets_must_be_positive():
    with pytest.raises(InputError, match="tokens_per_batch must be at least 1, got 0"):
        Hardware(tokens_per_batch=0)
