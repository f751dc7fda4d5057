"""What is measured of a re-ranker before it serves: at which depths, and what it is worth there."""

import json
from dataclasses import dataclass

import pytest
import torch

from recross.collections.collection import CollectionSource
from recross.errors import InputError
from recross.experiment import choosing
from recross.experiment.choosing import Choosing
from recross.machine.hardware import Hardware
from recross.rerankers.reranker import Reranker
from recross.runs import Run
from tests.conftest import toy_collection

TOY = toy_collection()
TEST = TOY.query_ids("test")


@dataclass(frozen=True)
class Toy(CollectionSource):
    def load(self):
        return TOY


@dataclass(frozen=True)
class Turned(Reranker):
    """The last candidate comes first."""

    def rerank(self, candidates, collection):
        scores = {
            query_id: {doc.doc_id: float(place) for place, doc in enumerate(ranking)}
            for query_id, ranking in candidates.rankings.items()
        }
        return Run.from_scores("turned", scores)


@pytest.fixture
def run_file(tmp_path):
    """Eight candidates of every query, its relevant document the fifth."""
    scores = {}
    for query_id in TEST:
        (relevant,) = TOY.qrels("test")[query_id]
        others = [doc_id for doc_id in TOY.documents if doc_id != relevant][:7]
        ranked = [*others[:4], relevant, *others[4:]]
        scores[query_id] = {doc_id: -float(place) for place, doc_id in enumerate(ranked)}
    Run.from_scores("first", scores).write(tmp_path / "first.trec")
    return tmp_path / "first.trec"


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """Every document takes ten milliseconds."""

    def take(_stage, candidates, _collection, warmup=2):
        del warmup
        return [0.01 * len(ranking) for ranking in candidates.rankings.values()]

    monkeypatch.setattr(choosing, "time_queries", take)


def measure(run_file, **settings):
    choice = Choosing(
        collection=Toy(),
        reranker=Turned(),
        candidates=run_file,
        output=run_file.parent,
        store=run_file.parent / "store",
        **settings,
    )
    record = choice.run()
    assert json.loads(choice.place.result.read_text())["name"] == record["name"]
    return record


def test_each_depth_is_judged_with_the_others_below_it(run_file):
    record = measure(run_file, depths=(4, 5, 100))
    assert record["first_stage"]["measures"]["MRR@10"] == pytest.approx(1 / 5)
    by_depth = {found["depth"]: found["measures"]["MRR@10"] for found in record["depths"]}
    assert by_depth == pytest.approx({4: 1 / 5, 5: 1.0, 8: 1 / 4})  # no more than there are


def test_times_are_percentiles_of_a_querys_milliseconds_and_what_is_done_in_a_second(run_file):
    (found,) = measure(run_file, depths=(5,))["depths"]
    assert (found["p50_ms"], found["p95_ms"], found["p99_ms"]) == pytest.approx((50, 50, 50))
    assert found["pairs_per_second"] == pytest.approx(100)
    assert found["queries_per_second"] == pytest.approx(20)


def test_the_deepest_that_fits_is_found_and_deeper_ones_are_left_out(run_file):
    record = measure(run_file, depths=(2, 6, 7, 8), within_ms=50)
    assert [found["depth"] for found in record["depths"]] == [2, 6, 5]


def test_candidates_without_a_judged_query_are_refused(run_file):
    scores = {query_id: {"d1": 1.0} for query_id in TOY.query_ids("dev")}
    Run.from_scores("dev", scores).write(run_file)
    with pytest.raises(InputError, match="candidates must rank judged queries of the split 'test'"):
        measure(run_file)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="candidates must be a run file, got"):
        measure(tmp_path / "none.trec")


def test_memory_is_that_of_the_process_and_on_gpus_that_of_the_fullest(run_file, monkeypatch):
    taken = [5 * 2**20, 7 * 2**20]
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", taken.__getitem__)
    assert measure(run_file)["peak_gpu_memory_mb"] is None
    both = Hardware(accelerator="gpu", devices=2)
    assert measure(run_file, hardware=both, name="gpu")["peak_gpu_memory_mb"] == 7.0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_memory_of_a_gpu_is_what_tensors_took_of_it(run_file):
    taken = torch.zeros(2**20, dtype=torch.float32, device="cuda")
    assert measure(run_file, hardware=Hardware(accelerator="gpu"))["peak_gpu_memory_mb"] >= 4.0
    del taken
