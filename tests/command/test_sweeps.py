"""Sweeps of every command: cells that fail are counted, wherever they ran, and stop no other."""

import importlib.util
import io
import json
import logging
import os
import subprocess
import sys

import pytest

from recross.collections.files import write_beir
from recross.command.building import load_experiment
from recross.command.cli import main
from recross.runs import Run
from tests.conftest import save_tiny, toy_collection


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a run of the collection's documents, and one of nobody's."""
    monkeypatch.chdir(tmp_path)
    write_beir(tmp_path / "toy", toy_collection())
    queries = toy_collection().query_ids("test")
    Run.from_scores("good", {q: {"d1": 2.0, "d2": 1.0} for q in queries}).write("good.trec")
    Run.from_scores("bad", {"nobody": {"nothing": 1.0}}).write("bad.trec")
    return tmp_path


COLLECTION = ["collection=files", "collection.folder=toy", "output=out"]


def errors(caplog):
    return [record.message for record in caplog.records if record.levelname == "ERROR"]


@pytest.mark.parametrize("command", ["run", "train", "retrieve"])
@pytest.mark.parametrize("more", [[], ["-m"], ["--cfg", "job"]])
@pytest.mark.usefixtures("here")
def test_a_group_given_twice_is_refused_in_one_line(caplog, command, more):
    words = ["retriever=random", "retriever=bm25,run_file" if more == ["-m"] else "retriever=bm25"]
    assert main([command, *COLLECTION, *words, *more]) == 2
    (error,) = errors(caplog)
    got = words[1].partition("=")[2]
    assert f"retriever: must be given once, got random and {got}" in error


@pytest.mark.usefixtures("here")
def test_values_given_twice_are_hydras_and_the_last_counts(capsys):
    words = ["retriever=random", "retriever.seed=1", "retriever.seed=2", "--cfg", "job"]
    assert main(["retrieve", *COLLECTION, *words]) == 0
    assert "seed: 2" in capsys.readouterr().out


def test_a_sweep_of_retrieve_tells_of_the_cell_that_failed(here, caplog):
    words = ["retriever=run_file", "retriever.path=bad.trec,good.trec"]
    assert main(["retrieve", "-m", *COLLECTION, *words, "run_file=of_${retriever.path}"]) == 1
    assert len(Run.read(here / "out" / "of_good.trec")) == 20
    (error,) = errors(caplog)
    assert error.startswith("recross: out/of_bad.trec failed: InputError: ")
    record = json.loads((here / "out" / "of_bad.failed.json").read_text())
    assert record["status"] == "failed"
    assert record["error"] in error


@pytest.mark.parametrize("command", ["run", "train"])
def test_a_sweep_whose_cells_share_an_optimiser_with_nobody_does_not_begin(here, caplog, command):
    words = ["retriever=bm25", "hardware.shards=optimiser", "hardware.devices=2,1", "seed=0,1"]
    assert main([command, "-m", *COLLECTION, *words]) == 2
    (error,) = errors(caplog)
    assert error.count("hardware.shards must be nothing where fewer than two") == 1
    assert not (here / "out").exists()
    for sound in (["training=none", words[1]], [words[1], "hardware.devices=2"]):
        load_experiment("retriever=bm25", *sound)


@pytest.mark.usefixtures("here")
def test_a_sweep_says_which_cell_goes_on_and_every_stage_names_it(caplog):
    caplog.set_level(logging.INFO, "recross")
    words = ["retriever=random", "depth=3,5,7", "run_file=of_${depth}.trec"]
    assert main(["retrieve", "-m", *COLLECTION, *words]) == 0
    said = [line for line in caplog.messages if line.startswith("cell ")]
    assert [line.partition(",")[0] for line in said if "out/" in line] == [
        "cell 1 of 3: out/of_3.trec",
        "cell 2 of 3: out/of_5.trec",
        "cell 3 of 3: out/of_7.trec",
    ]
    assert "cell 2 of 3, stage 1 of 2: collection" in said
    assert len(said) == 3 * 3


def test_a_sweep_of_rerank_tells_of_the_cell_that_failed(here, caplog):
    words = ["reranker=oracle", "candidates=bad.trec,good.trec", "run_file=of_${candidates}"]
    assert main(["rerank", "-m", *COLLECTION, *words]) == 1
    assert len(Run.read(here / "out" / "of_good.trec")) == 20
    (error,) = errors(caplog)
    assert error.startswith("recross: out/of_bad.trec failed: InputError: candidates must rank")


def test_a_sweep_of_train_tells_of_the_cell_that_failed_and_keeps_finished_experiments(
    here, caplog
):
    save_tiny(here / "tiny")
    (here / "missing").mkdir()  # what it lacks is found when it is loaded
    words = ["reranker=cross_encoder", "reranker.checkpoint=missing,tiny", "retriever=bm25"]
    words += ["reranker.fresh_head=true", "reranker.max_length=32", "negatives=random", "study=s"]
    words += ["training.steps=2", "training.validations=1", "name=${reranker.checkpoint}"]
    finished = here / "out" / "s" / "missing" / "seed=0" / "result.json"
    finished.parent.mkdir(parents=True)
    finished.write_text('{"status": "done"}')
    assert main(["train", "-m", *COLLECTION, *words]) == 1
    folder = here / "out" / "s" / "tiny" / "seed=0"
    assert (folder / "checkpoint" / "model.safetensors").is_file()
    assert (folder / "config.yaml").is_file()
    (error,) = errors(caplog)
    assert error.startswith("recross: out/s/missing/seed=0/checkpoint failed: ")
    assert json.loads(finished.read_text()) == {"status": "done"}


def test_what_an_earlier_sweep_left_says_nothing_of_this_one(here, caplog):
    words = ["-m", *COLLECTION, "reranker=oracle", "candidates=a.trec,b.trec", "depth=2"]
    words += ["run_file=of_${candidates}"]
    (here / "good.trec").rename(here / "a.trec")
    (here / "a.trec").with_name("b.trec").write_bytes((here / "a.trec").read_bytes())
    assert main(["rerank", *words]) == 0
    (here / "bad.trec").replace(here / "b.trec")
    assert main(["rerank", *words]) == 1  # a result of before lies there
    assert len(errors(caplog)) == 1
    (here / "b.trec").write_bytes((here / "a.trec").read_bytes())
    assert main(["rerank", *words]) == 0  # a failure of before lay there
    assert not list((here / "out").glob("*.failed.json"))


@pytest.mark.usefixtures("here")
def test_cells_that_would_write_one_file_are_refused(caplog):
    assert main(["retrieve", "-m", *COLLECTION, "retriever=bm25", "depth=1,2"]) == 2
    assert "must differ in what they write, got out/retrieved.trec twice" in caplog.text


def results(folder):
    """What every finished cell wrote, less its times."""
    found = {}
    for path in sorted(folder.rglob("result.json")):
        record = json.loads(path.read_text())
        if record["status"] == "done":
            runs = [
                path.with_name(f"{run}.trec").read_bytes() for run in ("candidates", "reranked")
            ]
            found[record["label"]] = [*runs, record["measures"], record["fingerprint"]]
    return found


def test_a_closed_pipe_leaves_no_study_without_its_tables(here, monkeypatch):
    reader, written = os.pipe()
    os.close(reader)
    with monkeypatch.context() as patch:
        unbuffered = os.fdopen(written, "wb", buffering=0)
        patch.setattr(sys, "stdout", io.TextIOWrapper(unbuffered, write_through=True))
        words = ["retriever=run_file", "retriever.path=good.trec", "reranker=none"]
        assert main(["run", "-m", *COLLECTION, *words, "study=one,other,third", "name=n"]) == 141
        sys.stdout.close()
    for study in ("one", "other", "third"):
        written = {path.name for path in (here / "out" / study).iterdir()}
        assert {"table.md", "table.csv", "table.html"} <= written


SWEEP = ["retriever=run_file", "reranker=none,oracle", "latency_queries=0", "study=s"]
SWEEP += ["interpolate=false"]
SWEEP += ["name=${hydra:runtime.choices.reranker}_on_${retriever.path}"]
LAUNCHERS = {
    "joblib": ["hydra.launcher.n_jobs=2"],
    "submitit_local": ["hydra.launcher.timeout_min=9", "hydra.launcher.cpus_per_task=1"],
}


@pytest.mark.ci
@pytest.mark.timeout(900)  # every cell of submitit is a process of its own
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_launcher_makes_the_table_of_a_sweep_and_its_failures_count(here, launcher):
    package = f"hydra_plugins.hydra_{launcher.partition('_')[0]}_launcher"
    if not importlib.util.find_spec("hydra_plugins") or not importlib.util.find_spec(package):
        pytest.skip(f"needs the extra that brings {package}")
    assert main(["run", "-m", *COLLECTION, *SWEEP, "retriever.path=good.trec"]) == 0
    words = ["output=launched", f"hydra/launcher={launcher}", *LAUNCHERS[launcher]]
    command = [sys.executable, "-m", "recross", "run", "-m", *COLLECTION, *SWEEP, *words]
    done = subprocess.run(
        [*command, "retriever.path=bad.trec,good.trec"], capture_output=True, text=True
    )
    assert results(here / "launched") == results(here / "out")
    assert len(results(here / "out")) == 2
    assert done.returncode == 1
    failures = [line for line in done.stderr.splitlines() if " failed: InputError: " in line]
    assert len(failures) == 2
    assert all("_on_bad.trec/seed=0/result.json failed" in line for line in failures)
    assert "| oracle_on_good.trec" in done.stdout
