"""A training that was stopped at any step ends with the weights of one that was not."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from recross.command.interruption import Interrupted
from recross.errors import RunError
from recross.evaluation.measures import evaluate
from recross.inference.session import Session
from recross.machine.hardware import Hardware
from recross.negatives.ranked import RankWindow
from recross.rerankers.cross_encoder import CrossEncoder
from recross.retrieval.random_order import RandomOrder
from recross.runs import Run
from recross.store import Store
from recross.tracking.tracker import JsonLinesTracker
from recross.training.data.groups import make_groups
from recross.training.data.phases import Phase
from recross.training.fit import fit
from recross.training.losses.listwise import Listwise
from recross.training.losses.loss import Loss
from recross.training.module import RankingModule
from recross.training.progress import LAST_GOOD, Progress, TrainingFolder
from recross.training.recipe import FineTuning, TrainingPlan
from recross.training.validation import Validation
from tests.conftest import save_tiny, toy_collection

STEPS = 12


def train(folder, checkpoint, loss=None, log=None, hardware=Hardware(threads=1), **settings):
    """A short training with dropout, saved after every step."""
    collection = toy_collection()
    mined = RankWindow(RandomOrder(), 40).mine(collection, "train", Store(folder.parent / "store"))
    groups = make_groups(mined, collection, "train", 3, 0)
    query_ids = collection.query_ids("dev")
    listed = RandomOrder(3).retrieve(collection, query_ids, 20)
    lists = {q: {**dict(listed.rankings[q]), q.replace("q", "d"): 0.0} for q in query_ids}
    validation = Validation(
        Run.from_scores("dev", lists), collection, collection.qrels("dev"), "MRR@10"
    )
    defaults = {"steps": STEPS, "batch_size": 4, "validations": 3, "learning_rate": 1e-3}
    defaults |= {"negatives_per_positive": 3, "dropout": 0.2, "save_seconds": 0.0}
    training = FineTuning(**{**defaults, **settings})
    torch.manual_seed(0)
    reranker = CrossEncoder(str(checkpoint), fresh_head=True, max_length=24)
    recipe = TrainingPlan(loss or Listwise(), training)
    return fit(
        reranker,
        [Phase("all", groups)],
        recipe,
        Session(hardware),
        validation,
        folder,
        log,
    )


def weights(folder):
    return (folder / "model.safetensors").read_bytes()


@pytest.fixture
def checkpoint(tmp_path):
    return save_tiny(tmp_path / "source")


def interrupt_before(monkeypatch, step, interruption=KeyboardInterrupt):
    whole = RankingModule.training_step

    def interrupted(self, batch, number):
        if self.progress.step == step:
            raise interruption
        return whole(self, batch, number)

    monkeypatch.setattr(RankingModule, "training_step", interrupted)


@pytest.mark.parametrize("step, averaging", [(1, None), (1, 0.8), (7, None), (11, 0.8)])
def test_weights_after_an_interruption_are_those_without_one(
    tmp_path, checkpoint, monkeypatch, step, averaging
):
    settings = {"averaging": averaging, "layer_decay": 0.9, "validations": 1}  # keeps the last
    whole = train(tmp_path / "whole", checkpoint, **settings)
    with monkeypatch.context() as patch:
        interrupt_before(patch, step)
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path / "cut", checkpoint, **settings)
    saved = TrainingFolder(tmp_path / "cut").load()
    assert saved is not None
    assert saved[0].step == step
    log = JsonLinesTracker().open(tmp_path, "s", "n", {})
    resumed = train(tmp_path / "cut", checkpoint, log=log, **settings)
    assert resumed["best_step"] == STEPS
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")
    for name in ("steps", "best_step", "best dev MRR@10", "tokens"):
        assert resumed[name] == whole[name]
    assert not list((tmp_path / "cut").glob("*.pt"))
    steps = [line for line in log.path.read_text().splitlines() if '"loss"' in line]
    assert len(steps) == STEPS  # those before the interruption, too


def test_what_interrupts_a_training_is_what_ends_it(tmp_path, checkpoint, monkeypatch):
    terminated = Interrupted(signal.SIGTERM)
    interrupt_before(monkeypatch, 1, terminated)
    with pytest.raises(Interrupted) as raised:
        train(tmp_path / "cut", checkpoint)
    assert raised.value is terminated
    assert raised.value.exit_code == 143


@pytest.mark.ci  # a process of its own imports torch
def test_weights_after_a_kill_are_those_without_one(tmp_path, checkpoint):
    train(tmp_path / "whole", checkpoint, validations=1)
    code = (
        "import sys; from pathlib import Path; from tests.training.test_resume import train;"
        "train(Path(sys.argv[1]), sys.argv[2], validations=1)"
    )
    root = Path(__file__).parents[2]
    killed = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "cut"), str(checkpoint)],
        cwd=root,
        env={**os.environ, "PYTHONPATH": f"{root / 'src'}:{root}"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    state = tmp_path / "cut" / "state.pt"
    deadline = time.monotonic() + 120
    while not state.exists() and killed.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert state.exists()
    train(tmp_path / "cut", checkpoint, validations=1)
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")


class Refuses(Loss):
    """Nothing is to be learned."""

    def __call__(self, *_):
        raise AssertionError("trained again")


class BreaksAt(Loss):
    """No number, or the same score for all, from a step on."""

    def __init__(self, step):
        self.left = step

    def __call__(self, scores, targets):
        self.left -= 1
        return Listwise()(scores, targets) * (float("nan") if self.left < 0 else 1.0)


def test_a_loss_that_is_no_number_keeps_the_best_weights_before(tmp_path, checkpoint):
    with pytest.raises(RunError, match=r"got nan at step 7\. The best weights before lie in") as no:
        train(tmp_path / "out", checkpoint, loss=BreaksAt(6))
    folder = tmp_path / "out" / LAST_GOOD
    assert str(folder) in str(no.value)
    kept = CrossEncoder(str(folder)).predict([("red cat", "a red cat")])
    assert kept.shape == (1,)
    reference = train(tmp_path / "four", checkpoint, steps=4, validations=1)
    assert reference["best_step"] == 4


def test_a_network_whose_scores_are_one_constant_stops(tmp_path, checkpoint, monkeypatch):
    def flat(_self, _engine, candidates, _collection):
        ranked = {q: dict.fromkeys(candidates.doc_ids(q), 1.5) for q in candidates.rankings}
        return Run.from_scores("flat", ranked)

    monkeypatch.setattr(CrossEncoder, "rerank_with", flat)
    with pytest.raises(RunError, match="got one constant for all of a query's candidates at step"):
        train(tmp_path / "out", checkpoint)


def test_training_ends_after_validations_without_a_gain(tmp_path, checkpoint, monkeypatch):
    values = iter([0.3, 0.5, 0.4, 0.5, 0.9, 0.9])
    monkeypatch.setattr(Validation, "sum_of", lambda self, _: next(values) * len(self.qrels))
    took = train(tmp_path / "out", checkpoint, validations=6, patience=2)
    assert (took["steps"], took["best_step"]) == (8, 4)
    assert took["best dev MRR@10"] == pytest.approx(0.5)


def test_a_validation_is_without_dropout(tmp_path, checkpoint):
    took = train(tmp_path / "out", checkpoint, validations=1, dropout=0.9)
    collection = toy_collection()
    query_ids = collection.query_ids("dev")
    listed = RandomOrder(3).retrieve(collection, query_ids, 20)
    lists = {q: {**dict(listed.rankings[q]), q.replace("q", "d"): 0.0} for q in query_ids}
    saved = CrossEncoder(str(tmp_path / "out")).rerank(Run.from_scores("dev", lists), collection)
    found = evaluate(saved, collection.qrels("dev"), ["MRR@10"]).mean["MRR@10"]
    assert took["best dev MRR@10"] == pytest.approx(found)


def test_the_share_of_each_process_adds_up_to_the_whole_validation(collection):
    run = RandomOrder().retrieve(collection, collection.query_ids("dev"), 96)
    whole = Validation(run, collection, collection.qrels("dev"), "MRR@10")
    parts = [whole.share(rank, 3) for rank in range(3)]
    assert sorted(q for part in parts for q in part.qrels) == sorted(whole.qrels)
    total = sum(part.sum_of(part.candidates) for part in parts)
    assert total == pytest.approx(whole.sum_of(run))
    assert whole.share(50, 60).sum_of(run) == 0.0


@pytest.mark.parametrize("name", ["state.pt", "best.pt"])
@pytest.mark.parametrize("damage", ["flipped", "emptied", "truncated"])
def test_a_damaged_state_is_not_gone_on_from(tmp_path, caplog, name, damage):
    folder = TrainingFolder(tmp_path)
    folder.keep_best({"weight": torch.zeros(3)})
    for step in (1, 2):
        folder.save(Progress(step=step), {"network": {"weight": torch.ones(300)}})
    assert folder.load()[0].step == 2
    content = (tmp_path / name).read_bytes()
    middle = len(content) // 2
    damaged = {
        "flipped": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
        "emptied": b"",
        "truncated": content[:-1],
    }
    (tmp_path / name).write_bytes(damaged[damage])
    assert folder.load() is None
    assert f"{name} is not what was written: trained from the start" in caplog.text
    (tmp_path / name).write_bytes(content)
    assert folder.load()[0].step == 2
    (tmp_path / "sums.json").write_bytes(b"")
    assert folder.load() is None


def test_a_state_outlasts_a_kill_between_its_sum_and_its_name(tmp_path, monkeypatch):
    folder = TrainingFolder(tmp_path)
    folder.save(Progress(step=1), {"network": {}})

    def kill(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", kill)
        with pytest.raises(KeyboardInterrupt):
            folder.save(Progress(step=2), {"network": {}})
    assert folder.load()[0].step == 1
    whole = Path.replace
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", lambda a, b: kill() if b.suffix == ".pt" else whole(a, b))
        with pytest.raises(KeyboardInterrupt):
            folder.save(Progress(step=2), {"network": {}})
    assert folder.load()[0].step == 1


def test_a_finished_training_is_not_repeated_unless_its_weights_were_damaged(tmp_path, checkpoint):
    took = train(tmp_path / "done", checkpoint)
    finished = weights(tmp_path / "done")
    assert train(tmp_path / "done", checkpoint, Refuses()) == took
    (tmp_path / "done" / "model.safetensors").write_bytes(finished[:-1])
    assert train(tmp_path / "done", checkpoint)["steps"] == STEPS
    assert weights(tmp_path / "done") == finished


def test_the_state_of_another_version_is_not_used(tmp_path, monkeypatch):
    folder = TrainingFolder(tmp_path)
    folder.save(Progress(step=3, curves=[(1, {"loss": 0.5})]), {"network": {}})
    progress, _ = folder.load()
    assert (progress.step, progress.curves) == (3, [(1, {"loss": 0.5})])
    monkeypatch.setattr("recross.training.progress.version", lambda _: "0.0.0")
    assert folder.load() is None


def test_an_equal_value_later_is_no_gain():
    progress = Progress()
    gains = []
    for step, value in enumerate((0.1, 0.3, 0.3, 0.2), start=1):
        progress.step = step
        gains.append(progress.judge(value))
    assert gains == [True, True, False, False]
    assert (progress.best, progress.best_step, progress.validations_without_gain) == (0.3, 2, 2)
