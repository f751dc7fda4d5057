"""What is mined does not depend on who judges it: one process, several, or those of other nodes."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from functools import partial

import pytest

from recross.collections.files import BeirFolder
from recross.errors import RunError
from recross.experiment import mining_command
from recross.experiment.mining_command import Mining
from recross.machine.hardware import Hardware
from recross.negatives import workers
from recross.negatives.filters import Denoising, Margin
from recross.negatives.mining import find_known_positives
from recross.negatives.ranked import RankWindow
from recross.negatives.workers import Workers
from recross.rerankers.cross_encoder import CrossEncoder
from recross.retrieval.bm25 import BM25
from recross.retrieval.random_order import RandomOrder
from recross.store import Store
from tests.conftest import save_tiny, toy_collection
from tests.experiment.toy_reranking import ByLength, Stopped

QUERY_IDS = list(find_known_positives(toy_collection(), "train"))
AT_ONCE = 6
FILES = ("pool.trec", "positives.trec", "barred.json")


@pytest.fixture
def command(tmp_path, beir_folder, monkeypatch):
    """How to mine, six queries a block, each time with a store of its own."""
    for module in (mining_command, workers):
        monkeypatch.setattr(module, "QUERIES_JUDGED_AT_ONCE", AT_ONCE)

    def make(teacher, name, **more):
        rules = {"margin": Margin(relative=0.999), "teacher": Denoising(teacher)}
        window = RankWindow(RandomOrder(3), depth=14, skip=1, filters=rules)
        output = {"output": tmp_path / name, "store": tmp_path / name / "store"}
        shared = {"collection": BeirFolder(beir_folder), "negatives": window, **output}
        return Mining(**{**shared, **more})

    return make


def read_files(command):
    """All that was written of what was mined, and its counts."""
    (folder,) = (command.store / "negatives").glob("[!.]*")
    counts = json.loads((folder / "manifest.json").read_text())["counts"]
    return [(folder / name).read_bytes() for name in FILES], counts, folder.name


def read_begun(said):
    """The queries that were judged, by whomever."""
    return [line.split()[1] for line in said.read_text().splitlines()]


@pytest.mark.ci  # processes of their own import torch
def test_what_is_mined_has_the_same_bytes_for_any_number_of_processes(tmp_path, command):
    teacher = CrossEncoder(str(save_tiny(tmp_path / "tiny")), max_length=24)
    alone = command(teacher, "alone", hardware=Hardware(threads=1))
    written = alone.run().read_bytes()
    counts = read_files(alone)[1]
    assert counts["dropped"]["teacher"] > 0
    assert counts["kept"] > 0
    for number in (1, 2, 3):
        shared = command(teacher, str(number), processes=number)
        assert shared.run().read_bytes() == written
        assert read_files(shared) == read_files(alone)
        blocks = list((shared.store / "reranked_blocks").glob("[!.]*"))
        assert len(blocks) == -(-len(QUERY_IDS) // AT_ONCE)


@pytest.mark.ci  # processes of their own import torch
def test_a_killed_judge_is_replaced_and_nothing_is_judged_twice(tmp_path, command, caplog):
    said, deadly = tmp_path / "said", QUERY_IDS[AT_ONCE + 1]  # the second of its block
    killed = command(ByLength(str(said), deadly), "killed", processes=2)
    written = killed.run().read_bytes()
    assert "a process that shares work ended by SIGKILL: another takes its place" in caplog.text
    begun = read_begun(said)
    assert sorted(begun) == sorted([*QUERY_IDS, QUERY_IDS[AT_ONCE], deadly])
    alone = command(ByLength(str(tmp_path / "other")), "alone", hardware=Hardware(threads=1))
    assert alone.run().read_bytes() == written
    assert read_files(alone)[:2] == read_files(killed)[:2]
    for path in (killed.store / "negatives").glob("[!.]*"):
        path.rename(tmp_path / "away")
    assert killed.run().read_bytes() == written
    assert read_begun(said) == begun


@pytest.mark.ci  # processes of their own import torch
def test_mining_that_was_stopped_goes_on_with_what_is_not_judged(tmp_path, command):
    said, last = tmp_path / "said", QUERY_IDS[-1]
    (tmp_path / last).touch()
    stopped = command(Stopped(str(said), stop=last), "stopped", processes=1)
    with pytest.raises(RunError, match="^stopped$"):
        stopped.run()
    done = -(-len(QUERY_IDS) // AT_ONCE) - 1
    assert read_begun(said) == QUERY_IDS[: done * AT_ONCE]
    (tmp_path / last).unlink()
    stopped.run()
    assert read_begun(said) == QUERY_IDS


@pytest.mark.ci  # processes of their own import torch
def test_a_node_that_comes_first_leaves_nothing_to_be_judged(tmp_path, command, monkeypatch):
    for name, value in (("MASTER_ADDR", "127.0.0.1"), ("MASTER_PORT", "1")):  # nobody listens
        monkeypatch.setenv(name, value)
    said = tmp_path / "said"
    make = partial(command, ByLength(str(said)), "two", processes=1, hardware=Hardware(nodes=2))
    monkeypatch.setenv("NODE_RANK", "1")
    make().run()
    assert sorted(read_begun(said)) == sorted(QUERY_IDS)
    assert not list((tmp_path / "two" / "store").glob("negatives/[!.]*"))
    monkeypatch.setenv("NODE_RANK", "0")
    written = make().run().read_bytes()
    assert len(read_begun(said)) == len(QUERY_IDS)
    alone = command(ByLength(str(tmp_path / "other")), "one", hardware=Hardware(threads=1))
    assert alone.run().read_bytes() == written
    monkeypatch.setenv("NODE_RANK", "1")
    (tmp_path / "two" / ".negatives.trec.node=1").unlink()
    for kind in ("reranked_blocks", "retrieved_blocks"):
        (tmp_path / "two" / "store" / kind).rename(tmp_path / kind)
    make().run()  # too late: all is mined
    assert len(read_begun(said)) == len(QUERY_IDS)


@pytest.mark.ci  # processes of their own import torch
def test_two_nodes_judge_what_one_does(tmp_path, beir_folder):
    words = [sys.executable, "-m", "recross", "mine", "negatives=denoised", "negatives.depth=12"]
    words += ["collection=files", f"collection.folder={beir_folder}", "hardware.threads=1"]
    words += ["processes=1"]
    around = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}  # where nobody listens
    nodes = []
    for number in (0, 1):
        output = [f"output={tmp_path}/two", f"store={tmp_path}/two/store", "hardware.nodes=2"]
        node = {**os.environ, **around, "NODE_RANK": str(number)}
        nodes.append(subprocess.Popen([*words, *output], env=node))
    assert [node.wait(timeout=250) for node in nodes] == [0, 0]
    alone = [f"output={tmp_path}/one", f"store={tmp_path}/one/store"]
    subprocess.run([*words, *alone], check=True, timeout=250)
    one, two = ((tmp_path / name / "negatives.trec").read_bytes() for name in ("one", "two"))
    assert one == two


def test_a_ranking_without_filters_needs_no_judge(tmp_path, beir_folder):
    collection, store = BeirFolder(beir_folder).load(), Store(tmp_path / "store")
    window = RankWindow(BM25(store=store.root), depth=8)
    window.take_part(collection, "train", store, Workers(judge=None))
    assert not store.root.exists()
    assert not window.is_mined(collection, "train", store)
    window.mine(collection, "train", store, Workers(judge=None))
    chosen_otherwise = replace(window, choose="best_ranked")
    assert chosen_otherwise.is_mined(collection, "train", store)
    assert not replace(window, depth=7).is_mined(collection, "train", store)
