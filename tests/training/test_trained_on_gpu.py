"""A training as a GPU takes it: steps made ahead, losses read late, one kernel for the update.

What is not a kernel is tested on the processor's tensors, where it must change nothing.
"""

import gc
import threading
from functools import partial
from types import SimpleNamespace

import pytest
import torch

from recross.errors import RunError
from recross.machine.hardware import Hardware
from recross.training.losses.listwise import Listwise
from recross.training.losses.pointwise import Pointwise
from recross.training.module import RankingModule
from recross.training.optimisation import Optimisation, restore_optimiser
from recross.training.progress import TrainingFolder
from recross.training.recorded_losses import READ_EVERY, RecordedLosses
from recross.training.steps.steps_ahead import STEPS_AHEAD, StepsAhead
from tests.conftest import save_tiny
from tests.rerankers import test_dual_encoder
from tests.rerankers.test_every_network_learns import NETWORKS, overfitted
from tests.training import test_refreshed, test_resume
from tests.training.test_refreshed import SAMPLER, mine, task  # noqa: F401
from tests.training.test_resume import STEPS, BreaksAt, interrupt_before, train, weights

LATE = {"save_seconds": 1e9}


@pytest.fixture
def checkpoint(tmp_path):
    return save_tiny(tmp_path / "source")


@pytest.fixture
def as_on_gpu(monkeypatch):
    """What a GPU's training does, with the processor's tensors and its usual update."""
    fused = Optimisation.optimiser

    def unfused(self, network, **_):
        return fused(self, network)

    def patch(of_processor=True):
        monkeypatch.setattr(RankingModule, "is_on_gpu", True)
        if of_processor:
            monkeypatch.setattr(Optimisation, "optimiser", unfused)

    return patch


class Log:
    """What a tracker is told."""

    def __init__(self):
        self.lines = []

    def log(self, step, values):
        self.lines.append((step, values))


def steps_are_made():
    gc.collect()  # what an earlier test left unfinished
    return any(thread.name.startswith("steps") for thread in threading.enumerate())


@pytest.mark.parametrize("settings", [LATE, {"averaging": 0.8, "save_seconds": 0.0}])
def test_curves_and_weights_are_those_of_a_processor(tmp_path, checkpoint, as_on_gpu, settings):
    told, expected = Log(), Log()
    whole = train(tmp_path / "cpu", checkpoint, log=expected, **settings)
    as_on_gpu()
    took = train(tmp_path / "gpu", checkpoint, log=told, **settings)
    assert told.lines == expected.lines
    assert len(told.lines) == STEPS + 3  # validations
    assert weights(tmp_path / "gpu") == weights(tmp_path / "cpu")
    assert {**took, "seconds": 0}.keys() == whole.keys()
    assert not steps_are_made()


def test_the_update_in_one_kernel_is_the_usual_one(tmp_path, checkpoint, as_on_gpu):
    told, expected = Log(), Log()
    train(tmp_path / "cpu", checkpoint, log=expected)
    as_on_gpu(of_processor=False)
    train(tmp_path / "gpu", checkpoint, log=told)
    losses = [values["loss"] for _, values in expected.lines if "loss" in values]
    found = [values["loss"] for _, values in told.lines if "loss" in values]
    assert found == pytest.approx(losses, rel=1e-3)


def test_negatives_are_chosen_before_their_steps_are_made(
    tmp_path,
    task,  # noqa: F811
    checkpoint,
    as_on_gpu,
):
    phase = mine(SAMPLER, task)
    test_refreshed.train(tmp_path / "cpu", checkpoint, phase)
    as_on_gpu()
    test_refreshed.train(tmp_path / "gpu", checkpoint, phase)
    assert weights(tmp_path / "gpu") == weights(tmp_path / "cpu")


def test_steps_across_groups_are_those_of_a_processor(tmp_path, as_on_gpu):
    checkpoint = test_dual_encoder.save_sentences(tmp_path / "source", "mean")
    groups = test_dual_encoder.groups.__wrapped__(tmp_path)
    test_dual_encoder.train(tmp_path / "cpu", checkpoint, groups, 64, steps=3)
    as_on_gpu()
    test_dual_encoder.train(tmp_path / "gpu", checkpoint, groups, 64, steps=3)
    assert weights(tmp_path / "gpu") == weights(tmp_path / "cpu")


def test_losses_are_read_every_so_many_steps_and_before_a_validation(
    tmp_path, checkpoint, as_on_gpu, monkeypatch
):
    read = []
    whole = RecordedLosses.read

    def counted(self):
        found = list(whole(self))
        read.append([record.step for record in found])
        return iter(found)

    monkeypatch.setattr(RecordedLosses, "read", counted)
    as_on_gpu()
    steps = READ_EVERY + 5
    train(tmp_path / "gpu", checkpoint, steps=steps, validations=1, **LATE)
    first, *rest = [steps for steps in read if steps]
    assert first == list(range(1, READ_EVERY + 1))
    assert rest == [list(range(READ_EVERY + 1, steps + 1))]


@pytest.mark.parametrize("save_seconds", [0.0, 1e9])
def test_a_loss_that_is_no_number_is_found_where_it_was(
    tmp_path, checkpoint, as_on_gpu, save_seconds
):
    as_on_gpu()
    told = Log()
    with pytest.raises(RunError, match=r"got nan at step 7\. The best weights before lie in"):
        train(tmp_path, checkpoint, loss=BreaksAt(6), log=told, save_seconds=save_seconds)
    assert [step for step, values in told.lines if "loss" in values] == [1, 2, 3, 4, 5, 6]
    progress, state = TrainingFolder(tmp_path).load()
    assert progress.step < 7
    assert all(weight.isfinite().all() for weight in state["network"].values())
    assert not steps_are_made()


@pytest.mark.parametrize("save_seconds", [0.0, 1e9])
def test_weights_after_an_interruption_are_those_without_one(
    tmp_path, checkpoint, as_on_gpu, monkeypatch, save_seconds
):
    settings = {"validations": 3, "save_seconds": save_seconds}
    told = Log()
    train(tmp_path / "whole", checkpoint, log=told, **settings)
    as_on_gpu()
    with monkeypatch.context() as patch:
        interrupt_before(patch, 7)
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path / "cut", checkpoint, **settings)
    assert not steps_are_made()
    resumed = Log()
    train(tmp_path / "cut", checkpoint, log=resumed, **settings)
    assert resumed.lines == told.lines
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")


class Steps:
    """Numbers as steps, of which some await a refresh."""

    def __init__(self, count, awaited=(), fails_at=None, start=0):
        self.count, self.awaited, self.fails_at = count, set(awaited), fails_at
        self.start, self.made = start, []

    def __len__(self):
        return self.count

    def __getitem__(self, number):
        if number == self.fails_at:
            raise OSError("no such document")
        self.made.append(number)
        return SimpleNamespace(to=lambda device: (number, device))

    def awaits_refresh(self, step):
        return step in self.awaited


CPU = torch.device("cpu")


def settled(steps, expected):
    """Whether so many steps have been made, once nothing more is to come."""
    deadline = threading.Event()
    for _ in range(200):
        if len(steps.made) >= expected:
            break
        deadline.wait(0.01)
    deadline.wait(0.05)
    return steps.made == list(range(expected))


def test_steps_come_in_order_and_no_more_than_a_few_are_made_ahead():
    steps = Steps(6)
    ahead = StepsAhead(steps, CPU)
    taken = iter(ahead)
    assert not steps.made
    assert next(taken) == (0, CPU)
    assert settled(steps, 1 + STEPS_AHEAD)
    assert [number for number, _ in taken] == [1, 2, 3, 4, 5]
    assert steps.made == list(range(6))
    assert not steps_are_made()


@pytest.mark.parametrize("start", [0, 10])
def test_a_step_that_awaits_its_negatives_is_made_when_it_is_asked_for(start):
    steps = Steps(6, awaited={start + 2}, start=start)
    taken = iter(StepsAhead(steps, CPU))
    next(taken)
    assert settled(steps, 2)
    next(taken)
    assert settled(steps, 2)
    steps.awaited.clear()
    assert next(taken) == (2, CPU)
    assert settled(steps, 5)


def test_no_step_is_made_in_a_pause():
    steps = Steps(6)
    ahead = StepsAhead(steps, CPU)
    taken = iter(ahead)
    next(taken)
    assert settled(steps, 1 + STEPS_AHEAD)
    with ahead.paused():
        next(taken)
        assert settled(steps, 1 + STEPS_AHEAD)
    assert settled(steps, 2 + STEPS_AHEAD)


def test_what_keeps_a_step_from_being_made_is_raised_where_it_is_taken():
    taken = iter(StepsAhead(Steps(6, fails_at=2), CPU))
    assert [next(taken)[0], next(taken)[0]] == [0, 1]
    with pytest.raises(OSError, match="no such document"):
        next(taken)
    assert not steps_are_made()


def test_closing_ends_the_thread():
    steps = Steps(100)
    ahead = StepsAhead(steps, CPU)
    next(iter(ahead))
    ahead.close()
    assert not steps_are_made()
    assert len(steps.made) <= 1 + STEPS_AHEAD


@pytest.mark.parametrize("saved_fused", [False, True])
def test_a_state_of_another_device_leaves_the_optimiser_its_own_kernels(saved_fused):
    def optimiser(fused):
        layer = torch.nn.Linear(3, 2)
        made = torch.optim.AdamW(layer.parameters(), fused=True if fused else None)
        layer(torch.ones(3)).sum().backward()
        made.step()
        return made

    saved, own = optimiser(saved_fused), optimiser(not saved_fused)
    restore_optimiser(own, saved.state_dict())
    assert [group["fused"] or False for group in own.param_groups] == [not saved_fused]
    own.step()


gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU")


def train_on(accelerator, folder, checkpoint, monkeypatch, **more):
    hardware = Hardware(accelerator=accelerator, **({"threads": 1} if accelerator == "cpu" else {}))
    monkeypatch.setattr(test_resume, "Hardware", lambda **_: hardware)
    return train(folder, checkpoint, dropout=0.0, **more)


@pytest.mark.gpu
@gpu
def test_a_gpu_learns_along_the_processors_curve(tmp_path, checkpoint, monkeypatch):
    seen = []
    whole = Optimisation.optimiser

    def watched(self, network, *, fused=False):
        seen.append(fused)
        return whole(self, network, fused=fused)

    monkeypatch.setattr(Optimisation, "optimiser", watched)
    curves = {}
    for accelerator in ("cpu", "gpu"):
        log = Log()
        train_on(accelerator, tmp_path / accelerator, checkpoint, monkeypatch, log=log)
        curves[accelerator] = [values["loss"] for _, values in log.lines if "loss" in values]
    assert seen == [False, True]
    assert len(curves["gpu"]) == STEPS
    assert curves["gpu"] == pytest.approx(curves["cpu"], rel=2e-2, abs=2e-3)
    assert not steps_are_made()


@pytest.mark.gpu
@gpu
def test_a_gpu_finds_a_loss_that_is_no_number(tmp_path, checkpoint, monkeypatch):
    with pytest.raises(RunError, match=r"got nan at step 7\. The best weights before lie in"):
        train_on("gpu", tmp_path, checkpoint, monkeypatch, loss=BreaksAt(6), **LATE)


@pytest.mark.gpu
@gpu
def test_a_gpu_resumes_to_the_weights_without_an_interruption(tmp_path, checkpoint, monkeypatch):
    train_on("gpu", tmp_path / "whole", checkpoint, monkeypatch)
    with monkeypatch.context() as patch:
        interrupt_before(patch, 7)
        with pytest.raises(KeyboardInterrupt):
            train_on("gpu", tmp_path / "cut", checkpoint, monkeypatch)
    train_on("gpu", tmp_path / "cut", checkpoint, monkeypatch)
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")


@pytest.mark.gpu
@gpu
@pytest.mark.parametrize(
    "name, loss", [("colbert", Listwise(temperature=0.1)), ("head", Pointwise())]
)
def test_networks_of_every_form_overfit_on_a_gpu_in_bf16(tmp_path, name, loss):
    hardware = Hardware(accelerator="gpu", precision="bf16", tokens_per_batch=4096)
    learn = partial(overfitted, hardware=hardware)
    assert learn(NETWORKS[name](tmp_path / "source"), loss, tmp_path) == 1.0
