"""Cells as tasks of Ray: all of them finish, whichever process is killed."""

import csv
import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from recross.collections.files import write_beir
from recross.command.cli import main
from recross.errors import InputError
from tests.conftest import save_tiny, toy_collection

ray = pytest.importorskip("ray", reason="the extra ray is not installed")
from recross.command import ray_tasks  # noqa: E402  # needs ray

WORDS = ["run", "-m", "collection=files", "collection.folder=toy", "retriever=bm25", "study=s"]
WORDS += ["reranker=cross_encoder", "reranker.checkpoint=tiny", "reranker.fresh_head=true"]
WORDS += ["reranker.max_length=32", "negatives=random", "training.steps=10", "latency_queries=0"]
WORDS += ["training.validations=1", "interpolate=false", "hardware.threads=1", "seed=0,1"]
WORDS += ["depth=2,3,5,8"]  # the four of one seed share a training


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a collection and a checkpoint, and a cluster of two workers."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    write_beir(tmp_path / "toy", toy_collection())
    save_tiny(tmp_path / "tiny")
    ray.init(num_cpus=2, include_dashboard=False, object_store_memory=200 << 20)
    yield tmp_path
    ray.shutdown()


def read_measures(study):
    """What the table shows of every cell, and how often each was trained."""
    records = [json.loads(path.read_text()) for path in study.rglob("result.json")]
    return {(each["name"], each["seed"]): (each["measures"], each["ties"]) for each in records}


def read_table(study):
    """The rows of the table, but for where they lie and the speed, which is what the clock said."""
    rows = list(csv.DictReader((study / "table.csv").read_text().splitlines()))
    others = [name for name in rows[0] if name not in ("pairs_per_second", "folders")]
    return [[row[name] for name in others] for row in rows]


def kill_a_cell(study, killed):
    """Kill the process of a cell that is not done, once another one is."""
    while not killed:
        done = {path.parent for path in study.rglob("result.json")}
        for lock in study.rglob(".lock"):
            pid = lock.read_text()
            if done and pid and lock.parent not in done and Path(f"/proc/{pid}").exists():
                os.kill(int(pid), signal.SIGKILL)
                killed.append(pid)
                return
        time.sleep(0.02)


@pytest.mark.ci
@pytest.mark.timeout(3600)
def test_all_cells_finish_as_one_by_one_though_a_process_is_killed(here):
    killed = []
    killer = threading.Thread(target=kill_a_cell, args=(here / "spread" / "s", killed), daemon=True)
    killer.start()
    assert main([*WORDS, "output=spread", "hydra/launcher=ray_tasks"]) == 0
    assert len(killed) == 1
    assert main([*WORDS, "output=one_by_one"]) == 0
    spread, one_by_one = (here / name for name in ("spread", "one_by_one"))
    assert len(read_measures(spread / "s")) == len(read_table(spread / "s")) * 2 == 8
    assert read_measures(spread / "s") == read_measures(one_by_one / "s")
    assert read_table(spread / "s") == read_table(one_by_one / "s")
    assert len(list((spread / "store/checkpoints").glob("[!.]*"))) == 2


def test_a_cell_that_is_lost_for_good_is_named_and_raises_nothing(monkeypatch, caplog):
    def lose(_):
        raise ray.exceptions.WorkerCrashedError

    monkeypatch.setattr(ray, "get", lose)
    assert ray_tasks._wait_for(None, ["depth=2", "seed=1"]).return_value is None
    (said,) = caplog.messages
    assert said.startswith("recross: depth=2 seed=1 was lost: ")


def test_more_cores_than_this_machine_has_are_refused_and_not_waited_for():
    tasks = ray_tasks.RayTasks(None, 3, None, 0, context=None, run_cell=None, config=None)
    tasks._refuse_too_much({"CPU": 3.0})
    with pytest.raises(InputError, match=r"num_cpus: must be at most .* for Ray, 2, got 3"):
        tasks._refuse_too_much({"CPU": 2.0})
