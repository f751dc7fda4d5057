"""What the docs show as commands and as Python runs."""

import re
import shlex
import shutil
from pathlib import Path

import pytest

from recross.command.cli import main

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted(str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md"))
RUN = {"sh", "python"}
SMALL = ["training=smoke", "latency_queries=1", "depth=8", "hardware.threads=1"]


def read_blocks(page):
    """Language and text of each block, in the order of the page."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(r"^```(\w+)\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def blocks(page, language):
    return [text for said, text in read_blocks(page) if said == language]


def split(block):
    return [line for line in block.splitlines() if line.strip()]


def languages(page):
    return [language for language, _ in read_blocks(page)]


def commands(page):
    return [line for block in blocks(page, "sh") for line in split(block)]


@pytest.fixture
def here(tmp_path, beir_folder, monkeypatch):
    """An empty working directory of a user with a folder of texts and a folder of options."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "my_beir_folder"  # without development queries, as many are
    shutil.copytree(beir_folder, folder)
    (folder / "qrels" / "dev.tsv").unlink()
    (option,) = blocks("how_to/own_reranker.md", "yaml")
    (tmp_path / "my_conf" / "reranker").mkdir(parents=True)
    (tmp_path / "my_conf" / "reranker" / "small.yaml").write_text(option)


def small(words):
    """The same command on few documents, with few steps."""
    if words[0] not in ("run", "train"):
        return words
    command, *given = words
    keys = {word.partition("=")[0] for word in given}
    added = [word for word in SMALL if word.partition("=")[0] not in keys]
    if "training" not in keys | {key.partition(".")[0] for key in keys}:
        added.append("training.steps=2")  # whatever a row says
    if "collection" not in keys:
        added.append("collection.size=300")
    return [command, *added, *given]


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)])
def test_every_command_is_one_of_recross(page):
    assert {shlex.split(line)[0] for line in commands(page)} == {"recross"}


@pytest.mark.ci
@pytest.mark.timeout(3600)  # a page is as long as its commands, and a machine may be busy
@pytest.mark.parametrize("page", [page for page in PAGES if RUN & set(languages(page))])
@pytest.mark.usefixtures("here")
def test_every_command_and_every_block_of_python_runs(page):
    """From the top of the page to its end, as it is read: the one uses what the other made."""
    for language, block in read_blocks(page):
        if language == "python":
            exec(block, {"__name__": "docs"})
        for line in split(block) if language == "sh" else ():
            _, *words = shlex.split(line)
            assert main(small(words)) == 0, line


def test_most_commands_are_run_and_the_others_need_what_is_not_here():
    run = sum(len(commands(page)) for page in PAGES)
    assert run >= 25
    shown = [block for page in PAGES for block in blocks(page, "text")]
    for line in "".join(shown).splitlines():
        assert re.search(
            r"pip install|path/or/hub-id|launcher=(slurm|ray_tasks|processes)|wandb sync|dashboard"
            r"|sweeper=optuna|recross push|recross status|tensorboard|NODE_RANK|MASTER_ADDR|gpu_x8"
            r"|plugins=\[my_plugin\]|vllm serve|reranker.base_url=|executor=ray",
            line,
        ), line
