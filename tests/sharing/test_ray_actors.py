"""A run that actors of Ray share has the bytes of one process, whichever actor is killed."""

import json
import os
import signal
from dataclasses import dataclass
from functools import partial

import pytest

from recross.collections.files import BeirFolder
from recross.errors import InputError, RunError
from recross.experiment.mining_command import Mining
from recross.experiment.retrieval_command import Retrieval
from recross.machine.hardware import Hardware
from recross.negatives.filters import Denoising
from recross.negatives.ranked import RankWindow
from recross.rerankers.cross_encoder import CrossEncoder
from recross.retrieval.biencoder import BiEncoder
from recross.retrieval.bm25 import BM25
from recross.runs import Run
from tests.conftest import save_tiny, toy_collection
from tests.experiment.toy_reranking import ByLength, Stopped, make_reranking
from tests.odd_inputs.tiny_checkpoints import save_bare

ray = pytest.importorskip("ray", reason="the extra ray is not installed")
pytest.importorskip("pyarrow", reason="the extra ray is not installed")

pytestmark = [
    pytest.mark.ci,
    pytest.mark.timeout(1800),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray"),  # of its own settings
]
QUERY_IDS = toy_collection().query_ids("test")


@pytest.fixture(scope="module", autouse=True)
def cluster():
    """A cluster of two workers, as long as this file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        ray.init(num_cpus=2, include_dashboard=False, object_store_memory=200 << 20)
        yield
        ray.shutdown()


@pytest.fixture
def command(tmp_path, beir_folder):
    """How two actors re-rank the test queries in blocks of three, with a store of their own."""
    return partial(make_reranking, tmp_path, beir_folder, processes=2, executor="ray")


@dataclass(frozen=True)
class Deadly(ByLength):
    """Kills its process."""

    def rerank(self, candidates, collection):
        os.kill(os.getpid(), signal.SIGKILL)


def read_begun(said):
    """Which process began with which query."""
    return [line.split() for line in said.read_text().splitlines()]


def list_parts(output):
    return {path: path.stat().st_mtime_ns for path in output.rglob("pairs.parquet")}


def test_two_actors_write_the_bytes_that_one_process_writes(tmp_path, command):
    reranker = CrossEncoder(str(save_tiny(tmp_path / "tiny")), max_length=24)
    spread = command(reranker, "ray")
    alone = command(reranker, "alone", processes=1, executor="local")
    assert spread.run().read_bytes() == alone.run().read_bytes()
    assert len(list_parts(tmp_path / "ray")) == -(-len(QUERY_IDS) // 3)
    gains = [json.loads(each.place.account.read_text())["gains"] for each in (spread, alone)]
    assert gains[0] == gains[1]


def make_retrieval(folder, beir_folder, name, **more):
    return Retrieval(
        collection=BeirFolder(beir_folder),
        retriever=BiEncoder("embedded:all-minilm-l6-v2", max_length=9),
        depth=12,
        output=folder / name,
        store=folder / name / "store",
        **more,
    )


def test_two_actors_encode_and_find_what_one_process_does(tmp_path, beir_folder):
    spread = make_retrieval(tmp_path, beir_folder, "ray", processes=2, executor="ray")
    alone = make_retrieval(tmp_path, beir_folder, "alone", hardware=Hardware(threads=1))
    assert spread.run().read_bytes() == alone.run().read_bytes()
    costs = [json.loads(each.place.account.read_text())["cost"] for each in (spread, alone)]
    assert costs[0] == costs[1]
    assert len(list((tmp_path / "ray/store/retrieved_parts").glob("[!.]*/pairs.parquet"))) == 1
    (vectors,) = (tmp_path / "ray/store/vectors").glob("[!.]*/vectors.bin")
    (theirs,) = (tmp_path / "alone/store/vectors").glob("[!.]*/vectors.bin")
    assert vectors.read_bytes() == theirs.read_bytes()
    assert not list((tmp_path / "ray/store/vectors_parts").glob("[!.]*"))


def test_two_actors_mine_what_one_process_mines(tmp_path, beir_folder):
    mined = []
    for name, more in (("ray", {"processes": 2, "executor": "ray"}), ("alone", {})):
        window = RankWindow(BM25(), depth=8, skip=1)
        more |= {"output": tmp_path / name, "store": tmp_path / name / "store"}
        mined.append(Mining(collection=BeirFolder(beir_folder), negatives=window, **more).run())
    assert mined[0].read_bytes() == mined[1].read_bytes()


def test_two_actors_judge_what_one_process_judges(tmp_path, beir_folder):
    teacher = CrossEncoder(str(save_tiny(tmp_path / "tiny")), max_length=24)
    window = RankWindow(BM25(), depth=12, filters={"teacher": Denoising(teacher)})
    mined = []
    for name, more in (("ray", {"processes": 2, "executor": "ray"}), ("alone", {})):
        more |= {"output": tmp_path / name, "store": tmp_path / name / "store"}
        more |= {"hardware": Hardware(threads=1)}
        command = Mining(collection=BeirFolder(beir_folder), negatives=window, **more)
        account = json.loads(command.run().with_suffix(".account.json").read_text())
        mined.append((command.place.result.read_bytes(), account["mined"]))
    assert mined[0] == mined[1]
    assert mined[0][1]["ranking"]["dropped"]["teacher"] > 0
    assert list_parts(tmp_path / "ray" / "store" / "reranked_parts")


def test_a_gpu_that_no_machine_has_is_refused_at_once(tmp_path, beir_folder, monkeypatch):
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", lambda **_: None)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    hardware = Hardware("gpu", threads=1)
    asked = {"processes": 1, "executor": "ray", "hardware": hardware}
    command = make_retrieval(tmp_path, beir_folder, "gpu", **asked)
    assert command.needs.find_lacks() == []  # it may be elsewhere
    with pytest.raises(InputError, match="hardware.accelerator must be one that this machine has"):
        command.run()


def test_a_killed_actor_is_started_again_and_every_pair_is_there_once(tmp_path, command):
    said = tmp_path / "said"
    killed = command(ByLength(str(said), "q20"), "killed")  # the second of its block
    run = killed.run()
    begun = [query_id for _, query_id in read_begun(said)]
    assert sorted(begun) == sorted([*QUERY_IDS, "q15", "q20"])
    whole = ByLength(str(tmp_path / "other")).rerank(
        Run.read(tmp_path / "candidates.trec"), toy_collection()
    )
    assert Run.read(run).rankings == whole.rankings
    lines = run.read_text().splitlines()
    assert len({tuple(line.split()[:3:2]) for line in lines}) == len(lines) == 12 * len(QUERY_IDS)
    alone = make_reranking_alone(command, tmp_path).run()
    assert run.read_bytes() == alone.read_bytes()


def make_reranking_alone(command, folder):
    return command(ByLength(str(folder / "alone_said")), "alone", processes=1, executor="local")


def test_a_run_that_was_stopped_goes_on_with_what_is_missing(tmp_path, command):
    said = tmp_path / "said"
    (tmp_path / "q95").touch()
    stopped = command(Stopped(str(said), stop="q95"), "stopped")  # in the last block
    with pytest.raises(RunError, match="^stopped$"):
        stopped.run()
    parts, begun = list_parts(tmp_path / "stopped"), read_begun(said)
    assert parts
    (tmp_path / "q95").unlink()
    run = stopped.run()
    assert list_parts(tmp_path / "stopped").items() >= parts.items()
    again = read_begun(said)[len(begun) :]
    assert len(again) <= len(QUERY_IDS) - 3 * len(parts)
    assert run.read_bytes() == make_reranking_alone(command, tmp_path).run().read_bytes()


def test_nothing_is_sent_to_ray_where_every_block_is_finished(tmp_path, command, monkeypatch):
    whole = command(ByLength(str(tmp_path / "said")), "whole")
    run = whole.run()
    before, begun = run.read_bytes(), read_begun(tmp_path / "said")
    run.unlink()
    monkeypatch.setattr(ray.data, "from_items", None)
    assert whole.run().read_bytes() == before
    assert read_begun(tmp_path / "said") == begun


def test_a_block_that_ends_every_actor_ends_the_command(tmp_path, command):
    said = tmp_path / "said"
    with pytest.raises(RunError, match="live until a block is finished, got 4 that ended at one"):
        command(Deadly(str(said)), "deadly", block_queries=20).run()  # one block
    assert not list((tmp_path / "deadly/store").glob("*/.tries-*"))


def test_what_an_actor_is_refused_is_an_error_of_the_command(tmp_path, command):
    save_bare(tmp_path / "bare")  # without a head
    fresh = CrossEncoder(str(tmp_path / "bare"), fresh_head=True, max_length=24)
    with pytest.raises(InputError, match="has a freshly drawn head"):
        command(fresh, "fresh").run()
