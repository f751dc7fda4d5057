"""The console script itself: what it loads, and what it says."""

import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import pytest

from recross.command.catalogue import COMMANDS
from recross.command.cli import WORK, main
from recross.command.plain_commands import PLAIN_COMMANDS
from tests.experiment.tiny_experiment import folder_of, write_tiny

HEAVY = {
    *("torch", "scipy", "transformers", "sentence_transformers", "pytorch_lightning", "wandb"),
    *("faiss", "ir_datasets", "matplotlib", "onnx", "pandas", "sklearn"),
}
"""Libraries that take long to import."""

ROOT = Path(__file__).parents[2]


def loaded_by(script):
    """The heavy libraries that a process has after a script."""
    shown = f"{script}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", shown], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return HEAVY & set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["--version"],
        ["options"],
        ["contracts"],
        ["run", "--cfg", "job"],
        ["rerank", "candidates=a.trec", "--cfg", "job"],
        ["run", "--help"],
    ],
    ids=" ".join,
)
def test_what_only_shows_loads_no_heavy_library(words):
    assert not loaded_by(f"from recross.command.cli import main\nassert main({words}) == 0")


def test_the_names_of_the_package_load_no_more_than_they_need():
    assert not loaded_by("from recross import Collection, Run, evaluate")
    assert not loaded_by("from recross import load_reranker")


OWN_LIBRARIES = {
    "recross.collections.ir_datasets": {"ir_datasets"},
    "recross.retrieval.approximate_index": {"faiss"},
    "recross.retrieval.bm25": {"scipy"},
    "recross.retrieval.official": {"ir_datasets"},
    "recross.tracking.weights_and_biases": {"wandb"},
    "recross.training.data.files.docpairs": {"ir_datasets"},
}
"""Of parts whose library need not be installed: whether it is, their import says."""


def test_what_a_config_names_is_known_without_the_libraries_that_compute():
    texts = "".join(path.read_text() for path in (ROOT / "conf").rglob("*.yaml"))
    named = set(re.findall(r"_target_: (recross(?:\.\w+)+)\.\w+", texts))
    assert len(named) > 60
    light = sorted(named - OWN_LIBRARIES.keys())
    assert not loaded_by(f"import {', '.join(light)}")
    own = set().union(*OWN_LIBRARIES.values())
    assert loaded_by(f"import {', '.join(OWN_LIBRARIES)}") <= own


@pytest.mark.parametrize(
    "words",
    [
        ["rum"],
        ["run", "reranker=minilm6"],
        ["run", "rerankr=none"],
        ["run", "training.learning_rate=-1", "depth=0", "reranker.head=last"],
        ["run", "training/loss=lambda_loss", "hardware=cpu_int8", "hardware.precision=fp16"],
        ["train", "training.stepss=3"],
        ["retrieve", "retriever=splade", "retriever.checkpoint=/nowhere"],
        ["rerank", "reranker=monot5_base", "candidates=/nowhere.trec"],
        ["run", "collection=files", "collection.folder=/nowhere", "-m", "seed=1,2"],
        ["choose", "within_ms=0", "candidates=/nowhere.trec"],
        ["evaluate", "/nowhere.trec", "--qrels", "/nowhere.qrels"],
        ["compare", "/nowhere"],
        ["options", "rerankers"],
    ],
    ids=" ".join,
)
def test_a_mistaken_line_is_answered_without_the_libraries_that_compute(words):
    assert not loaded_by(f"from recross.command.cli import main\nassert main({words}) == 2")


def test_evaluating_run_files_loads_no_library_of_networks():
    assert loaded_by("import recross.command.evaluating") <= {"scipy"}


def test_the_version_is_that_of_the_package(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"recross {importlib.metadata.version('recross')}\n"


def test_no_command_goes_on_without_a_name_for_what_it_does():
    assert set(WORK) == {*COMMANDS, *PLAIN_COMMANDS}


def test_a_run_says_its_stages_and_ends_with_the_result(tmp_path, caplog, capfd):
    words = write_tiny(tmp_path)
    capfd.readouterr()
    assert main(["run", *words]) == 0
    said = caplog.messages
    assert not [line for line in said if "{" in line or "%|" in line]
    stages = [line for line in said if line.startswith("stage ")]
    assert stages[:2] == ["stage 1 of 6: collection", "stage 2 of 6: training"]
    assert stages[-1] == "stage 6 of 6: results"
    told = said[-1].splitlines()
    assert told[0].startswith("tiny, seed 0: ")
    assert [line.split()[0] for line in told[2:5]] == ["first", "re-ranker", "interpolated"]
    assert any(" ".join(line.split()).startswith("re-ranker - first stage MRR@10") for line in told)
    assert f"folder: {folder_of(tmp_path)}" in told
    assert told[-1].startswith(f"next: recross table {tmp_path / 'out' / 's'}")
    assert "%|" not in "".join(capfd.readouterr())  # a bar of some library
