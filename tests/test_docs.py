"""The site: it builds without a warning, and what it shows as commands and as Python runs."""

import logging
import re
import shlex
import shutil
from pathlib import Path

import pytest

from recross.command.catalogue import list_options
from recross.command.cli import main

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted(str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md"))
SMALL = ["training=smoke", "latency_queries=1", "depth=8", "hardware.threads=1"]


def blocks(page, language):
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def commands(page):
    return [line for block in blocks(page, "sh") for line in block.splitlines() if line.strip()]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("docs")


@pytest.fixture
def here(place, beir_folder, monkeypatch):
    monkeypatch.chdir(place)
    folder = place / "my_beir_folder"  # without development queries, as many are
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(beir_folder, folder)
    (folder / "qrels" / "dev.tsv").unlink()
    (option,) = blocks("how_to/own_reranker.md", "yaml")
    (place / "my_conf" / "reranker").mkdir(parents=True, exist_ok=True)
    (place / "my_conf" / "reranker" / "small.yaml").write_text(option)
    return place


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
@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)])
@pytest.mark.usefixtures("here")
def test_every_command_runs(page):
    for line in commands(page):
        _, *words = shlex.split(line)
        assert main(small(words)) == 0, line


@pytest.mark.ci
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")])
@pytest.mark.usefixtures("here")
def test_every_block_of_python_runs(page):
    for block in blocks(page, "python"):
        exec(block, {"__name__": "docs"})


def test_most_commands_are_run_and_the_others_need_what_is_not_here():
    run = sum(len(commands(page)) for page in PAGES)
    assert run >= 25
    shown = [block for page in PAGES for block in blocks(page, "text")]
    for line in "".join(shown).splitlines():
        assert re.search(
            r"pip install|path/or/hub-id|launcher=(slurm|ray_tasks|processes)|wandb sync|dashboard"
            r"|sweeper=optuna|recross push|tensorboard"
            r"|plugins=\[my_plugin\]|vllm serve|reranker.base_url=",
            line,
        ), line


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built site, and what was said while it was built."""
    pytest.importorskip("material", reason="the extra docs is not installed")
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    folder, said = tmp_path_factory.mktemp("site"), []
    listener = logging.Handler(logging.WARNING)
    listener.emit = said.append
    logging.getLogger("mkdocs").addHandler(listener)
    build(load_config(str(DOCS.parent / "mkdocs.yml"), site_dir=str(folder)))
    logging.getLogger("mkdocs").removeHandler(listener)
    return folder, [record.getMessage() for record in said]


def test_the_site_builds_without_a_warning_and_has_a_page_of_options_for_each_group(site):
    folder, said = site
    assert said == []
    for group, names in list_options().items():
        page = (folder / "reference" / "options" / f"{group}.html").read_text(encoding="utf-8")
        assert all(f"{group}={name}" in page for name in names)


def test_every_page_and_notebook_is_in_the_navigation(site):
    home = (site[0] / "index.html").read_text(encoding="utf-8")
    shown = [*PAGES, *(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.ipynb"))]
    for page in shown:
        assert f'href="{Path(page).with_suffix(".html").as_posix()}"' in home, page


def test_a_browser_loads_nothing_of_the_site_from_elsewhere(site):
    loaded = re.compile(
        r"<(?:script|img|iframe|source|video|link)\b[^>]*(?:src|href)=[\"']?(?:https?:)?//"
    )
    for path in site[0].rglob("*.html"):
        assert loaded.findall(path.read_text(encoding="utf-8")) == [], path
    for path in site[0].rglob("*.css"):
        styles = path.read_text(encoding="utf-8")
        assert not re.search(r"(?:url\(|@import )[\"']?(?:https?:)?//", styles), path
