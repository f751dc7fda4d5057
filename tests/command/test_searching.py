"""A search by Optuna: each trial is checked before it runs, and what it reached is recorded."""

import json

import pytest

from recross.command import hydra_settings
from recross.command.cli import main
from tests.experiment.tiny_experiment import write_tiny

SEARCH = ["-m", "hydra/sweeper=optuna", "hydra.sweeper.n_trials=4"]


@pytest.fixture
def words(tmp_path):
    """The words of a training of a second, whose folder is named by what varies."""
    named = [word for word in write_tiny(tmp_path) if not word.startswith(("name=", "training.s"))]
    return [*named, "training.steps=2"]


def read_search(folder):
    return json.loads((folder / "out" / "s" / "search.json").read_text())


@pytest.fixture
def with_optuna():
    return pytest.importorskip("optuna", reason="needs extra optuna")


@pytest.mark.usefixtures("with_optuna")
def test_a_search_maximises_the_dev_measure_and_a_second_one_reads_its_trials(
    words, tmp_path, caplog
):
    varied = [
        "training.learning_rate=tag(log,interval(1e-4,1e-2))",
        "name=at_${training.learning_rate}",
    ]
    caplog.set_level("INFO")
    assert main(["train", *SEARCH, *words, *varied]) == 0
    record = read_search(tmp_path)
    rates = [trial["params"]["training.learning_rate"] for trial in record["trials"]]
    assert len(set(rates)) == 4
    assert all(1e-4 <= rate <= 1e-2 for rate in rates)
    for trial, rate in zip(record["trials"], rates, strict=True):
        folder = tmp_path / "out" / "s" / f"at_{rate}" / "seed=0"
        trained = json.loads((folder / "training.json").read_text())["training"]
        assert trial["value"] == trained["best dev MRR@10"]
    assert record["best"]["value"] == max(trial["value"] for trial in record["trials"])
    assert f"best {record['best']['value']:.4f} by trial {record['best']['trial']}: " in caplog.text
    best = (tmp_path / "out" / "s" / "optimization_results.yaml").read_text()
    assert f"training.learning_rate: {record['best']['params']['training.learning_rate']}" in best
    caplog.clear()
    assert main(["train", *SEARCH, *words, *varied]) == 0  # the same trials, from the store
    assert read_search(tmp_path)["trials"] == record["trials"]
    assert "training on" not in caplog.text


@pytest.mark.usefixtures("with_optuna")
def test_a_trial_that_does_not_go_together_is_refused_and_the_others_run(words, tmp_path):
    """Each value is possible, but not with each other one."""
    varied = [
        "negatives.skip=0,3",
        "negatives.depth=2,9",
        "name=${negatives.skip}_${negatives.depth}",
    ]
    others = [word for word in words if word != "negatives=random"]
    more = ["negatives=bm25", "hydra/sweeper/sampler=random", "hydra.sweeper.max_failure_rate=1"]
    more += ["hydra.sweeper.n_trials=8"]
    assert main(["train", *SEARCH, *others, *more, *varied]) == 1
    trials = read_search(tmp_path)["trials"]
    for trial in trials:
        skip, depth = (int(trial["params"][f"negatives.{key}"]) for key in ("skip", "depth"))
        assert (trial["value"] is None) == (skip >= depth)
        assert ("must" in (trial["reason"] or "")) == (skip >= depth)
    assert len(trials) == 8
    assert 0 < sum(trial["value"] is None for trial in trials) < 8


@pytest.mark.usefixtures("with_optuna")
def test_values_that_can_never_be_are_refused_before_the_first_trial(words, tmp_path, caplog):
    varied = ["training.learning_rate=interval(0.0,0.1)", "loss=listwise,lisstwise"]
    assert main(["train", *SEARCH, *words, *varied]) == 2
    assert "'lisstwise'" in caplog.text
    caplog.clear()
    assert main(["train", *SEARCH, *words, varied[0]]) == 2
    assert "training.learning_rate: must be positive, got 0.0" in caplog.text
    assert not (tmp_path / "out").exists()


def test_without_optuna_the_extra_is_named(words, caplog, monkeypatch):
    monkeypatch.setattr(hydra_settings, "is_installed", lambda _package: False)
    assert main(["train", *SEARCH, *words, "training.learning_rate=interval(0.1,0.2)"]) == 2
    assert "hydra/sweeper: needs the package optuna; pip install 'recross[optuna]'" in caplog.text


def test_an_interval_needs_a_search(caplog):
    assert main(["run", "-m", "training.learning_rate=interval(0.1,0.2)"]) == 2
    assert "training.learning_rate: must be a list of values, or be searched by" in caplog.text
