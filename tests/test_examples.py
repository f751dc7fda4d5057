"""README is short and its Python runs; its commands, and those that the docs cannot run, build."""

import re
import shlex
from pathlib import Path

import pytest

from recross.collections.files import BeirFolder
from recross.command.building import build
from recross.command.catalogue import COMMANDS
from recross.command.composition import compose_values
from recross.retrieval.bm25 import BM25

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PAGES = sorted(set((ROOT / "docs").rglob("*.md")) - set((ROOT / "docs/tutorials").iterdir()))
DOCS = "".join(page.read_text() for page in PAGES)  # the scripts of the tutorials are run
SHOWN = re.findall(r"^```bash\n(.*?)^```", DOCS, flags=re.MULTILINE | re.DOTALL)
"""Blocks of the docs with commands that need a hub, a server, own files or much time."""
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
COMMAND_LINES = re.findall(
    r"^(?:    )?recross (.+?)(?:\s{2,}#.*)?$", "".join([README, *SHOWN]), flags=re.MULTILINE
)


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


OVERRIDDEN = [
    line
    for line in dict.fromkeys(COMMAND_LINES)
    if line.split()[0] in COMMANDS and "--" not in line
]
"""Those that need nothing but overrides: no file that an earlier command has saved."""


@pytest.mark.parametrize("line", OVERRIDDEN)
def test_the_commands_that_are_only_shown_compose_and_build(line):
    command, *words = shlex.split(line)
    swept = [word for word in words if word != "-m"]
    first = [re.sub(r"^([a-z_.]+=[^,\[]+),.*", r"\1", word) for word in swept]
    assert build(compose_values(command, first))


def test_the_readme_is_read_in_minutes():
    assert len(README.splitlines()) <= 130
    assert len(COMMAND_LINES) >= 40
    assert len(BLOCKS) == 2


def test_every_link_of_the_readme_leads_to_a_file():
    for path in re.findall(r"(?:\]\(|src=\")(?!https?:)([^)#\"]+)", README):
        assert (ROOT / path).exists(), path


def test_every_line_of_the_tree_names_something_that_is_there():
    tree = (ROOT / "docs" / "reference" / "tree.md").read_text()
    for line in tree.partition("```")[2].splitlines():
        name = line.strip().split("  ")[0]
        for part in name.split():
            if part.endswith((".py", ".yaml", "/", "file", ".txt")):
                assert (
                    list(ROOT.glob(part))
                    or list(ROOT.glob(f"src/recross/{part}"))
                    or list(ROOT.glob(f"conf/{part}"))
                ), part
