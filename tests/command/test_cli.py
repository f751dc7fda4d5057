"""The console script itself: what it loads, and what it says."""

import importlib.metadata
import subprocess
import sys

import pytest

from recross.command.cli import main

HEAVY = {
    *("torch", "scipy", "transformers", "sentence_transformers", "pytorch_lightning", "wandb"),
    *("faiss", "ir_datasets", "matplotlib", "onnx", "pandas", "sklearn"),
}
"""Libraries that take long to import."""

FOR_NETWORKS = {"torch", "scipy", "transformers"}
"""What no network is loaded without; scipy comes with transformers."""


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
    assert loaded_by("from recross import load_reranker") <= FOR_NETWORKS


def test_the_version_is_that_of_the_package(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"recross {importlib.metadata.version('recross')}\n"
