"""Several processes train as one: the same weights, a clear end if one is killed, and a way on."""

import gc
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch.multiprocessing.spawn import ProcessExitedException, ProcessRaisedException

from recross.errors import RunError
from recross.machine.hardware import Hardware
from recross.training.losses.listwise import Listwise
from recross.training.losses.loss import Loss
from recross.training.processes import MeetingPoint, explaining_ends
from recross.training.progress import TRAINED
from tests.conftest import save_tiny
from tests.training.test_resume import BreaksAt, train

TWO = Hardware(threads=1, devices=2, tokens_per_training_pass=100)
"""Two processes of gloo, whose shares of a step are several micro-batches, not equally many."""
STEADY = {"validations": 1, "dropout": 0.0, "learning_rate": 1e-4}
"""Dropout is drawn by process: without it a step is the same however it is shared."""


@pytest.fixture
def checkpoint(tmp_path):
    return save_tiny(tmp_path / "source")


def find_difference(one, other):
    """The largest difference of a weight, beside those that learn from rounding alone.

    All of a query's keys are shifted alike by their bias, and all scores by that of the head, which
    softmax does not see.
    """
    first, second = (load_file(folder / "model.safetensors") for folder in (one, other))
    named = [name for name in first if not name.endswith(("key.bias", "classifier.bias"))]
    return max(float((first[name] - second[name]).abs().max()) for name in named)


def read_losses(folder):
    """The loss of every step, of all processes together."""
    curves = json.loads((folder / TRAINED).read_text())["curves"]
    return [values["loss"] for _, values in curves if "loss" in values]


@pytest.mark.ci  # processes of their own import torch
def test_two_processes_leave_the_weights_of_one_and_count_every_pair_once(tmp_path, checkpoint):
    took = [
        train(tmp_path / name, checkpoint, hardware=hardware, steps=6, **STEADY)
        for name, hardware in (("one", Hardware(threads=1)), ("two", TWO))
    ]
    start = train(tmp_path / "start", checkpoint, steps=1, **{**STEADY, "learning_rate": 1e-9})
    assert start["steps"] == 1
    assert find_difference(tmp_path / "one", tmp_path / "two") < 1e-5
    assert find_difference(tmp_path / "one", tmp_path / "start") > 1e-4
    assert took[0]["pairs"] == took[1]["pairs"] == 6 * 4 * 4
    assert took[0]["tokens"] == took[1]["tokens"]
    assert read_losses(tmp_path / "one") == pytest.approx(read_losses(tmp_path / "two"), rel=1e-5)
    assert took[0]["best dev MRR@10"] == pytest.approx(took[1]["best dev MRR@10"], abs=1e-6)


class Kills(Loss):
    """Kills the second process at the fifth loss that it asks for, unless that has been done."""

    def __init__(self, done):
        self.done, self.calls = done, 0

    def __call__(self, scores, targets):
        self.calls += 1
        if torch.distributed.get_rank() == 1 and self.calls == 5 and not self.done.exists():
            self.done.write_text(str(time.time()))
            os.kill(os.getpid(), signal.SIGKILL)
        return Listwise()(scores, targets)


@pytest.mark.ci  # processes of their own import torch
def test_a_killed_process_ends_the_training_in_seconds_and_the_same_command_goes_on(
    tmp_path, checkpoint
):
    loss = Kills(tmp_path / "done")
    with pytest.raises(RunError, match="process 1 of the training ended by SIGKILL; the same"):
        train(tmp_path / "cut", checkpoint, loss, hardware=TWO, steps=6, **STEADY)
    assert time.time() - float(loss.done.read_text()) < 120
    saved = torch.load(tmp_path / "cut" / "state.pt", weights_only=True)
    assert 0 < saved["progress"]["step"] < 6
    train(tmp_path / "cut", checkpoint, loss, hardware=TWO, steps=6, **STEADY)
    train(tmp_path / "one", checkpoint, steps=6, **STEADY)
    assert find_difference(tmp_path / "cut", tmp_path / "one") < 1e-5


class CountsStates(Kills):
    """Writes down of how many parameters the second process keeps a state, before it is killed."""

    def __call__(self, scores, targets):
        if torch.distributed.get_rank() == 1 and self.calls == 4 and not self.done.exists():
            held = [o for o in gc.get_objects() if type(o) is torch.optim.AdamW]
            self.done.with_name("states").write_text(str(sum(len(o.state) for o in held)))
        return super().__call__(scores, targets)


@pytest.mark.ci  # processes of their own import torch
def test_processes_that_share_the_state_of_the_optimiser_leave_the_same_weights(
    tmp_path, checkpoint
):
    train(tmp_path / "one", checkpoint, hardware=Hardware(threads=1), steps=6, **STEADY)
    loss = CountsStates(tmp_path / "done")
    shared = replace(TWO, shards="optimiser")
    with pytest.raises(RunError, match="process 1 of the training ended by SIGKILL; the same"):
        train(tmp_path / "two", checkpoint, loss, hardware=shared, steps=6, **STEADY)
    saved = torch.load(tmp_path / "two" / "state.pt", weights_only=True)
    gathered = saved["optimizer"]["state"]
    assert 0 < saved["progress"]["step"] < 6
    assert len(gathered) == sum(
        len(group["params"]) for group in saved["optimizer"]["param_groups"]
    )
    assert 0 < int(loss.done.with_name("states").read_text()) < len(gathered)
    train(tmp_path / "two", checkpoint, loss, hardware=shared, steps=6, **STEADY)
    assert find_difference(tmp_path / "one", tmp_path / "two") < 1e-5


@pytest.mark.ci  # processes of their own import torch
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_processes_that_share_the_weights_leave_the_same_ones(tmp_path, checkpoint, precision):
    settings = {**STEADY, "steps": 6, "averaging": 0.5, "precision": precision}
    whole = TWO if precision == "bf16" else Hardware(threads=1)
    train(tmp_path / "one", checkpoint, hardware=whole, **settings)
    loss = Kills(tmp_path / "done")
    shared = replace(TWO, shards="weights")
    with pytest.raises(RunError, match="process 1 of the training ended by SIGKILL; the same"):
        train(tmp_path / "two", checkpoint, loss, hardware=shared, **settings)
    saved = torch.load(tmp_path / "two" / "state.pt", weights_only=True)
    assert 0 < saved["progress"]["step"] < 6
    weights = load_file(checkpoint / "model.safetensors").values()
    sizes = sorted(weight.numel() for weight in weights)
    assert sorted(average.numel() for average in saved["averages"]) == sizes  # whole, as ever
    train(tmp_path / "two", checkpoint, loss, hardware=TWO, **settings)  # shared or not
    close = 1e-5 if precision == "fp32" else 2e-4  # six steps at a rate of 1e-4 move by 6e-4
    assert find_difference(tmp_path / "one", tmp_path / "two") < close


@pytest.mark.ci  # processes of their own import torch
def test_what_one_process_is_refused_is_said_as_if_there_were_no_other(tmp_path, checkpoint):
    with pytest.raises(RunError, match=r"^loss must be finite, got nan at step \d\. The best we"):
        train(tmp_path / "out", checkpoint, loss=BreaksAt(12), hardware=TWO)


CODE = """
import sys
from pathlib import Path
from recross.machine.hardware import Hardware
from tests.training.test_processes import STEADY
from tests.training.test_resume import train

if __name__ == "__main__":
    hardware = Hardware(threads=1, nodes=2, tokens_per_training_pass=100)
    print(train(Path(sys.argv[1]), sys.argv[2], hardware=hardware, steps=6, **STEADY))
"""


def train_on_nodes(folder, checkpoint, address, before):
    """What two nodes say that meet at an address; each begins with the words ``before`` it."""
    script = folder / "node.py"
    script.write_text(CODE)
    root = Path(__file__).parents[2]
    port = str(MeetingPoint(1).main_port)
    started = [
        subprocess.Popen(
            [*words, sys.executable, script, folder / "two", checkpoint],
            env={
                **os.environ,
                "PYTHONPATH": f"{root / 'src'}:{root}",
                **{"MASTER_ADDR": address, "MASTER_PORT": port, "NODE_RANK": str(rank)},
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank, words in enumerate(before)
    ]
    said, errors = zip(*(process.communicate(timeout=500) for process in started), strict=True)
    assert [process.returncode for process in started] == [0, 0], errors
    return said, errors


@pytest.fixture
def two_hosts():
    """How a command begins that runs on one of two hosts of a network, and the first's address.

    Each has interfaces of its own, and a name that stands for the host itself.
    """
    names = [f"recross{os.getpid()}{side}" for side in "ab"]
    ends = [f"r{os.getpid()}{side}" for side in "ab"]
    made = subprocess.run(
        ["sh", "-ec", MAKE_HOSTS, "sh", *names, *ends], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("needs root, and ip of iproute2")
    yield [("ip", "netns", "exec", name) for name in names], "10.213.7.1"
    for name in names:
        subprocess.run(["ip", "netns", "del", name], check=True)


MAKE_HOSTS = """
ip netns add $1
ip netns add $2
ip link add $3 netns $1 type veth peer name $4 netns $2
ip -n $1 addr add 10.213.7.1/24 dev $3
ip -n $2 addr add 10.213.7.2/24 dev $4
for host in $1 $2; do ip -n $host link set lo up; done
ip -n $1 link set $3 up
ip -n $2 link set $4 up
"""


@pytest.mark.ci  # processes of their own import torch
def test_nodes_on_two_hosts_meet_by_the_network_between_them(tmp_path, checkpoint, two_hosts):
    hosts, address = two_hosts
    said, _ = train_on_nodes(tmp_path, checkpoint, address, hosts)
    assert "'pairs': 96" in said[0]
    train(tmp_path / "one", checkpoint, steps=6, **STEADY)
    assert find_difference(tmp_path / "one", tmp_path / "two") < 1e-5


@pytest.mark.ci  # processes of their own import torch
def test_two_nodes_that_are_started_apart_leave_the_weights_of_one(tmp_path, checkpoint):
    said, errors = train_on_nodes(tmp_path, checkpoint, "127.0.0.1", [(), ()])
    assert errors == ("", "")  # nothing of Lightning's own
    assert "'pairs': 96" in said[0]  # the first alone says what it took, and writes
    assert said[1].strip().endswith("{}")
    train(tmp_path / "one", checkpoint, steps=6, **STEADY)
    assert find_difference(tmp_path / "one", tmp_path / "two") < 1e-5


def test_an_interruption_ends_the_processes_that_were_started_and_no_others():
    fork = multiprocessing.get_context("fork")  # which starts at once
    older, younger = (fork.Process(target=time.sleep, args=(600,)) for _ in range(2))
    older.start()
    with pytest.raises(KeyboardInterrupt), explaining_ends():
        younger.start()
        raise KeyboardInterrupt
    younger.join(60)
    assert younger.exitcode == -signal.SIGKILL
    assert older.is_alive()
    older.kill()
    older.join(60)


@pytest.mark.ci  # processes of their own import torch
def test_a_terminal_that_interrupts_all_while_they_start_waits_for_none(tmp_path, checkpoint):
    script = tmp_path / "both.py"
    script.write_text(CODE.replace("nodes=2", "devices=2"))
    root = Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, script, tmp_path / "two", checkpoint],
        env={**os.environ, "PYTHONPATH": f"{root / 'src'}:{root}"},
        stderr=subprocess.PIPE,
        process_group=0,
    )
    while count_processes(process.pid) < 4:  # with multiprocessing's own tracker
        time.sleep(0.1)
        assert process.poll() is None
    time.sleep(3)  # both are importing, or wait for each other
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode != 0
    for _ in range(100):  # killed ones are gone in a moment
        if not count_processes(process.pid):
            return
        time.sleep(0.1)
    raise AssertionError


def count_processes(group):
    found = subprocess.run(["pgrep", "-c", "-g", str(group)], capture_output=True, check=False)
    return int(found.stdout)


def test_a_training_of_one_node_reads_nothing_that_a_cluster_has_set(monkeypatch):
    around = {"MASTER_ADDR": "10.0.0.9", "MASTER_PORT": "1", "NODE_RANK": "3", "LOCAL_RANK": "2"}
    for name, value in around.items():
        monkeypatch.setenv(name, value)
    alone = MeetingPoint(1)
    assert (alone.main_address, alone.node_rank()) == ("127.0.0.1", 0)
    assert alone.main_port > 1
    assert not alone.creates_processes_externally
    fourth = MeetingPoint(4)
    assert (fourth.main_address, fourth.main_port, fourth.node_rank()) == ("10.0.0.9", 1, 3)


ENDS = {
    "killed": (
        ProcessExitedException("", 1, 7, -9, "SIGKILL"),
        "process 1 of the training ended by SIGKILL; the same command goes on from the last",
    ),
    "left": (
        ProcessExitedException("", 0, 7, 3),
        "process 0 of the training ended by exit code 3; the same command goes on from the last",
    ),
    "refused": (
        ProcessRaisedException("Traceback\nrecross.errors.RunError: loss is no number", 1, 7),
        "loss is no number$",
    ),
    "lonely": (
        ProcessRaisedException("Traceback\nRuntimeError: Connection closed by peer [::1]:5", 0, 7),
        "a process of the training, here or on another node, has ended .RuntimeError: Connection",
    ),
}


@pytest.mark.parametrize("end", ENDS)
def test_the_end_of_a_process_is_said_in_one_line(end):
    error, said = ENDS[end]
    with pytest.raises(RunError, match=f"^{said}"), explaining_ends():
        raise error


def test_a_fault_of_the_code_stays_one():
    fault = ProcessRaisedException("Traceback\nKeyError: 'doc'", 0, 7)
    with pytest.raises(ProcessRaisedException), explaining_ends():
        raise fault
