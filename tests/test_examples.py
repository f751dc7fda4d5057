"""The README's Python blocks run; its commands parse and build."""

import re
import shlex
from pathlib import Path

import pytest

from recross.collections.files import BeirFolder
from recross.command.building import build
from recross.command.catalogue import COMMANDS
from recross.command.composition import compose_values
from recross.retrieval.bm25 import BM25

README = (Path(__file__).parents[1] / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
COMMAND_LINES = re.findall(r"^    recross (.+?)(?:\s{2,}#.*)?$", README, flags=re.MULTILINE)


def test_the_python_twin_of_a_command_runs(tiny_bert, beir_folder, tmp_path, capsys):
    collection = BeirFolder(beir_folder).load()
    run = BM25(store=tmp_path / "store").retrieve(collection, collection.query_ids("test"), 30)
    run.write(tmp_path / "bm25.trec")
    given = {"checkpoint": tiny_bert, "folder": beir_folder, "run_file": tmp_path / "bm25.trec"}
    exec(BLOCKS[0], given)
    assert "'MRR@10': " in capsys.readouterr().out


@pytest.mark.ci
def test_the_twin_of_an_experiment_runs(tmp_path, capsys):
    exec(BLOCKS[1], {"output": tmp_path})
    assert "'nDCG@10': " in capsys.readouterr().out


OVERRIDDEN = [line for line in COMMAND_LINES if line.split()[0] in COMMANDS and "--" not in line]
"""Those that need nothing but overrides: no file that an earlier command has saved."""


@pytest.mark.parametrize("line", OVERRIDDEN)
def test_the_readmes_commands_compose_and_build(line):
    command, *words = shlex.split(line)
    swept = [word for word in words if word != "-m"]
    first = [re.sub(r"^([a-z_.]+=[^,]+),.*", r"\1", word) for word in swept]
    assert build(compose_values(command, first))


def test_the_readme_shows_enough_commands():
    assert len(COMMAND_LINES) >= 10
    assert len(BLOCKS) == 2


def test_every_line_of_the_tree_names_something_that_is_there():
    root = Path(__file__).parents[1]
    tree = README.partition("## The tree")[2]
    for line in tree.splitlines():
        name = line.strip().split("  ")[0]
        for part in name.split():
            if part.endswith((".py", ".yaml", "/", "file", ".txt")):
                assert (
                    list(root.glob(part))
                    or list(root.glob(f"src/recross/{part}"))
                    or list(root.glob(f"conf/{part}"))
                ), part
