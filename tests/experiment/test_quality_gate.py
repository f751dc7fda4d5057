"""No reduced form passes unseen: it agrees with fp32, or is refused, or is recorded."""

import json
from dataclasses import dataclass

import pytest
import torch

from recross.command.cli import main
from recross.errors import InputError, RunError
from recross.experiment.quality_gate import Judgments, QualityGate, compare_runs, compute_tau
from recross.machine.hardware import Hardware
from recross.rerankers.reranker import NetworkReranker
from recross.runs import Run
from tests.conftest import needs_int8, save_tiny
from tests.inference.test_engine import SumNetwork


class Noisy(SumNetwork):
    """Exact in the reference, off by ``noise`` of any size in every other form."""

    head_is_fresh = False

    def __init__(self, noise):
        super().__init__()
        self.noise = noise

    def check(self, hardware):
        assert hardware

    def inference(self, session):
        exact = super().inference(session)
        if session.hardware.is_reference:
            return exact
        draw = torch.Generator().manual_seed(0)
        return lambda batch: exact(batch) + self.noise * torch.randn(len(batch), generator=draw)


@dataclass(frozen=True)
class Reranker(NetworkReranker):
    noise: float = 0.0

    def load(self):
        return Noisy(self.noise)

    def trained(self, folder):
        raise NotImplementedError


REDUCED = Hardware(backend="torch_compile")


@pytest.fixture
def asked(collection):
    documents = list(collection.documents)
    query_ids = collection.query_ids("dev")
    ranked = {q: {d: float(-n) for n, d in enumerate(documents[:40])} for q in query_ids}
    return Run.from_scores("first", ranked), Judgments(collection.qrels("dev"), "MRR@10")


def check(gate, noise, asked, collection, hardware=REDUCED):
    candidates, judgments = asked
    reranker = Reranker("some/sum", noise=noise, hardware=hardware)
    return gate.check(reranker, candidates, collection, judgments)


def test_an_exact_form_passes_with_a_tau_of_one(asked, collection):
    verdict = check(QualityGate(), 0.0, asked, collection)
    assert verdict["passed"] and verdict["failures"] == []
    assert verdict["tau_mean"] == verdict["tau_min"] == verdict["top_10_overlap"] == 1.0
    assert verdict["score_difference"] == verdict["measure_difference"] == 0.0
    assert (verdict["backend"], verdict["network"]) == ("torch_compile", "sum")


def test_a_noisy_form_is_refused_with_the_tolerance_and_the_value(asked, collection):
    with pytest.raises(RunError, match=r"backend=torch_compile .*least_tau must be 0\.98, got 0\."):
        check(QualityGate(), 1e4, asked, collection)


def test_in_record_mode_a_noisy_form_goes_on_and_is_recorded(asked, collection):
    verdict = check(QualityGate(on_failure="record"), 1e4, asked, collection)
    assert verdict["passed"] is False
    assert verdict["tau_mean"] < 0.98
    assert verdict["failures"][0].startswith("least_tau must be 0.98")


def test_the_reference_is_not_compared_with_itself(asked, collection):
    assert check(QualityGate(), 1e4, asked, collection, Hardware()) is None


def test_figures_of_a_comparison_done_by_hand():
    reference = Run.from_scores(
        "r", {"q": {"a": 3.0, "b": 2.0, "c": 1.0}, "p": {"a": 2.0, "b": 1.0}}
    )
    ours = Run.from_scores("o", {"q": {"a": 2.5, "b": 2.75, "c": 1.0}, "p": {"a": 2.0, "b": 1.0}})
    judgments = Judgments({"q": {"a": 1}, "p": {"a": 1}}, "RR@10")
    found = compare_runs(ours, reference, judgments)
    assert found["tau_mean"] == pytest.approx((1 / 3 + 1) / 2)  # q: one of three pairs exchanged
    assert found["tau_min"] == pytest.approx(1 / 3)
    assert found["score_difference"] == 0.75
    assert found["measure_reference"] == 1.0
    assert found["measure_difference"] == pytest.approx(-0.25)  # q falls from 1 to 1/2
    assert found["measure_difference_error"] == pytest.approx(0.25)


def test_a_difference_within_two_standard_errors_is_not_held_against_a_form():
    found = {"tau_mean": 1.0, "measure": "RR", "measure_difference_error": 0.01}
    gate = QualityGate()
    assert gate.find_failures({**found, "measure_difference": -0.0219}) == []
    (failure,) = gate.find_failures({**found, "measure_difference": -0.0221})
    assert "most_measure_difference must be 0.002, got -0.0221" in failure


def test_tau_of_scores_without_an_order():
    flat, rising = torch.zeros(3).numpy(), torch.arange(3.0).numpy()
    assert compute_tau(flat, flat) == 1.0
    assert compute_tau(flat, rising) == 0.0
    assert compute_tau(rising[:1], rising[:1]) == 1.0


def test_the_sample_is_the_same_every_time_and_in_the_lists_order():
    names = [f"q{n:02}" for n in range(50)]
    sample = QualityGate(queries=10).sample(names)
    assert sample == QualityGate(queries=10).sample(names) == sorted(sample)
    assert len(sample) == 10
    assert QualityGate(queries=100).sample(names) == names


@pytest.mark.parametrize(
    "given", [{"queries": 0}, {"least_tau": 1.1}, {"most_measure_difference": -1}]
)
def test_tolerances_must_make_sense(given):
    with pytest.raises(InputError, match=f"{next(iter(given))} must"):
        QualityGate(**given)


@pytest.fixture
def command(beir_folder, tmp_path):
    checkpoint = save_tiny(tmp_path / "tiny")
    given = ["collection=files", f"collection.folder={beir_folder}", "retriever=bm25"]
    given += ["reranker=cross_encoder", f"reranker.checkpoint={checkpoint}", "training=none"]
    return ["run", *given, "study=s", "latency_queries=0", f"output={tmp_path / 'out'}"]


def result_of(tmp_path):
    (found,) = (tmp_path / "out").glob("s/*/seed=0/result.json")
    return json.loads(found.read_text())


def test_a_run_in_fp32_has_nothing_to_compare(command, tmp_path):
    assert main(command) == 0
    assert result_of(tmp_path)["quality_gate"] is None


@needs_int8
def test_a_run_in_int8_records_the_verdict_beside_its_measures(command, tmp_path):
    assert main([*command, "hardware=cpu_int8", "quality_gate.on_failure=record"]) == 0
    result = result_of(tmp_path)
    assert result["backend"] == result["quality_gate"]["backend"] == "torch_int8"
    assert result["quality_gate"]["queries"] == 19  # every judged dev query of the toy
    assert result["quality_gate"]["score_difference"] > 0
    assert 0 < result["quality_gate"]["tau_mean"] < 1


@needs_int8
def test_a_run_beyond_a_tolerance_stops_before_the_test_queries(command, caplog, tmp_path):
    assert main([*command, "hardware=cpu_int8", "quality_gate.least_tau=1.0"]) == 1
    assert "least_tau must be 1.0, got 0." in caplog.text
    assert not list((tmp_path / "out").glob("s/*/seed=0/reranked.trec"))
