"""The script that measures a GPU works through its parts where there is none."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def gpu(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import gpu

    yield gpu
    for name in ("gpu", "gpu_workload", "one_object"):
        sys.modules.pop(name, None)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so(gpu, capsys):
    gpu.main()
    assert json.loads(capsys.readouterr().out) == {"gpu": None, "why": "no GPU: torch sees none"}


def test_every_part_is_measured_on_tiny_networks(gpu):
    import gpu_workload

    tiny = {name: gpu_workload.TINY[name] for name in ("MiniLM-L6", "t5-base")}
    extent = gpu.Extent(
        **{"accelerator": "cpu", "sizes": tiny, "documents": 200, "queries": 40},
        **{"pass_flops": 1e6, "products": 64, "latency_queries": 2, "peers": ("MiniLM-L6",)},
    )
    found = {}
    gpu.measure(extent, found)
    found = json.loads(json.dumps(found))
    assert found["left_out"] == []
    assert found["networks"].keys() == tiny.keys()
    for name, network in found["networks"].items():
        parts = [part for part in network.values() if isinstance(part, dict)]
        assert [part["error"] for part in parts if "error" in part] == []
        assert ("sentence-transformers" in network) == (name == "MiniLM-L6")
        for precision in ("fp32", "bf16"):  # here all are single precision
            assert network["agreement"][precision] == {"largest_difference": 0.0, "tau": 1.0}
        assert network["agreement"]["spread"] > 0
        assert ("fp16" in network["agreement"]) == (name == "MiniLM-L6")
        scoring = network["scoring"]
        rates = [scoring[key] for key in scoring if key.endswith(("per_second", "from_texts"))]
        assert len(rates) == 3
        assert min(*rates, *scoring["pairs_per_second_on_unseen_shapes"]) > 0
        assert scoring["share_of_product_rate"] > 0
        assert 0 < scoring["latency_ms_per_100"]["p50"] <= scoring["latency_ms_per_100"]["p95"]
        assert network["training"]["with_its_beginning"] > 0


def test_what_there_is_no_time_for_is_named(gpu, monkeypatch):
    import gpu_workload

    tiny = {name: gpu_workload.TINY[name] for name in ("MiniLM-L6", "t5-base")}
    extent = gpu.Extent(accelerator="cpu", sizes=tiny, documents=200, queries=40, seconds=60)
    clock = [0.0]

    def spend_a_minute(_self):
        clock[0] += 61.0
        return {}

    monkeypatch.setattr(gpu.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(gpu.Measurement, "agreement", spend_a_minute)
    found = {}
    gpu.measure(extent, found)
    assert found["networks"]["MiniLM-L6"]["agreement"] == {"seconds": 61.0}
    parts = ["scoring", "training", "sentence-transformers"]
    assert found["left_out"] == [*(f"MiniLM-L6: {part}" for part in parts), "t5-base"]


def test_it_ends_in_time_with_what_was_found_whatever_still_runs():
    code = (
        "import time, one_object\n"
        "with one_object.one_object_on_stdout(0.5) as found:\n"
        "    found['networks'] = {'L6': 1}\n"
        "    print('noise')\n"
        "    time.sleep(60)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=BENCHMARKS, capture_output=True, text=True, timeout=50
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["networks"] == {"L6": 1}
    assert "when 0 s were over" in found["left_out"][0]


@pytest.mark.usefixtures("gpu")
def test_operations_are_counted_by_hand():
    import gpu_workload

    size = gpu_workload.Size("Bert", 2, 8, 2, 16)
    # per token: 4 products of 8 x 8, 2 of 8 x 16; of the last layer keys and values alone
    whole = 3 * (2 * 4 * 64 + 2 * 2 * 128) + 4 * 9 * 8
    assert size.flops(np.array([3.0])) == whole + 3 * 2 * 2 * 64
