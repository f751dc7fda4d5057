"""Several devices share a run's batches and give the scores of one."""

import threading

import numpy as np
import pytest
import torch

from recross import load_reranker
from recross.errors import InputError
from recross.inference.devices import make_for_each_device, share_jobs
from recross.inference.engine import Engine
from recross.inference.session import Session
from recross.machine.hardware import Hardware
from tests.inference.test_engine import SumNetwork, expected
from tests.rerankers.test_cross_encoder import mixed_pairs


class Meeting(SumNetwork):
    """Goes on only when as many batches are at work as there are devices."""

    def __init__(self, devices):
        super().__init__()
        self.barrier, self.threads = threading.Barrier(devices, timeout=120), set()

    def inference(self, session):
        score = super().inference(session)

        def forward(batch):
            self.barrier.wait()
            self.threads.add((threading.get_ident(), torch.get_num_threads()))
            return score(batch)

        return forward


@pytest.mark.parametrize("devices", [2, 3])
def test_devices_work_at_the_same_time_each_with_its_own_threads(devices):
    network = Meeting(devices)
    pairs = [("q", f"{n:03}") for n in range(12)]
    hardware = Hardware(devices=devices, threads=1, tokens_per_batch=4)
    scores, cost = Engine(network, Session(hardware)).score(pairs)
    assert scores.tolist() == expected(pairs)
    assert (cost.batches, len(network.threads)) == (12, devices)
    assert {threads for _, threads in network.threads} == {1}
    assert threading.get_ident() not in {thread for thread, _ in network.threads}


@pytest.mark.parametrize("devices", [2, 3])
def test_a_networks_scores_are_those_of_one_device(tiny_bert, devices):
    pairs = mixed_pairs(60)
    many = Hardware(devices=devices, threads=1, tokens_per_batch=300)
    one = Hardware(threads=1, tokens_per_batch=300)
    found = load_reranker(tiny_bert, hardware=many).predict(pairs)
    np.testing.assert_array_equal(found, load_reranker(tiny_bert, hardware=one).predict(pairs))


def test_a_batch_that_does_not_fit_is_halved_on_any_device():
    pairs = [("q", "x" * n) for n in range(1, 41)]
    network = SumNetwork(fits=50)
    scores, _ = Engine(network, Session(Hardware(devices=2, tokens_per_batch=100))).score(pairs)
    assert scores.tolist() == expected(pairs)
    assert sum(network.batches) == 40
    assert network.refused


def test_an_error_on_one_device_ends_the_run_and_starts_no_further_batch():
    network = SumNetwork(fits=25, error=ValueError("broken"))
    pairs = [("q", "x" * n) for n in range(30, 90)]
    with pytest.raises(ValueError, match="broken"):
        Engine(network, Session(Hardware(devices=2, tokens_per_batch=1))).score(pairs)
    assert len(network.refused) <= 5  # those already handed out


def test_results_come_in_the_order_of_the_jobs_and_few_jobs_are_drawn_ahead():
    drawn = []

    def jobs():
        for number in range(20):
            drawn.append(number)
            yield number

    results = share_jobs(Hardware(devices=2), ["one", "two"], lambda job, _: job, jobs())
    assert next(results) == 0
    assert len(drawn) == 4
    assert list(results) == list(range(1, 20))


def test_more_gpus_than_there_are_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(InputError, match=r"devices must be at most .* \(1\), got 8"):
        make_for_each_device(Hardware(accelerator="gpu", devices=8), SumNetwork(), lambda net: net)
