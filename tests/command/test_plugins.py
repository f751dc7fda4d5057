"""Packages of one's own: listed ones may be named and are checked like ours, no other."""

import re
import sys

import pytest

from recross import load_experiment, load_reranker
from recross.command.building import build
from recross.command.catalogue import list_options
from recross.command.cli import main
from recross.command.composition import compose_values
from recross.errors import ConfigError, InputError
from recross.parts.identity import describe

SOURCE = '''
from dataclasses import dataclass
from typing import Annotated

from recross import Run
from recross.parts.bounds import Ge, checked
from recross.rerankers.reranker import Reranker
from recross.retrieval.retriever import Retriever


@dataclass(frozen=True)
@checked
class Shortest(Reranker):
    """The shortest documents first."""

    depth: Annotated[int, Ge(1)] = 20

    def rerank(self, candidates, collection):
        return candidates


class NoDataclass(Reranker):
    def rerank(self, candidates, collection):
        return candidates


@dataclass(frozen=True)
class Pair(Reranker):
    """A re-ranker with a part of the package's own, and one of ours."""

    first: Shortest
    source: Retriever

    def rerank(self, candidates, collection):
        return candidates
'''


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package that can be imported, with an option of its own."""
    folder = tmp_path / "its_plugin"
    (folder / "conf" / "reranker").mkdir(parents=True)
    (folder / "__init__.py").write_text(SOURCE)
    option = "# The shortest first.\n_target_: its_plugin.Shortest\ndepth: 20\n"
    (folder / "conf" / "reranker" / "its_shortest.yaml").write_text(option)
    monkeypatch.syspath_prepend(tmp_path)
    yield "its_plugin"
    sys.modules.pop("its_plugin", None)


SMALL = ["retriever=bm25", "reranker=none"]


def test_an_option_of_a_listed_package_is_built_with_its_class(package):
    words = ["retriever=bm25", "reranker=its_shortest", "reranker.depth=7"]
    experiment = load_experiment(f"plugins=[{package}]", *words)
    assert describe(experiment.reranker) == {"class": "its_plugin.Shortest", "depth": 7}
    assert experiment.name == "bm25.its_shortest.reranker.depth=7"  # says nothing of plug-ins


def test_its_arguments_are_checked_like_ours(package):
    words = [f"plugins=[{package}]", "retriever=bm25", "reranker=its_shortest"]
    with pytest.raises(ConfigError, match=r"^reranker\.depth: must be at least 1, got 0$"):
        load_experiment(*words, "reranker.depth=0")
    with pytest.raises(ConfigError, match=r"^reranker\.colour: unknown; its_plugin\.Shortest"):
        load_experiment(*words, "+reranker.colour=red")


@pytest.mark.parametrize(
    "listed, target, message",
    [
        ("[its_plugin]", "its_plugin.Longest", "class of recross or its_plugin, got 'its_plugin.L"),
        ("[its_plugin]", "its_plugin.NoDataclass", "must name a dataclass"),
        (
            "[its_plugin]",
            "its_plugins.Shortest",
            "class of recross or its_plugin, got 'its_pl",
        ),
        ("[]", "its_plugin.Shortest", "must name a class of recross, got 'its_plugin.Shortest'"),
        ("[its_plugin]", "subprocess.Popen", "class of recross or its_plugin, got 'subprocess"),
        (
            "[its_plugin]",
            "its_plugin.missing.Shortest",
            r"or its_plugin, got 'its_plugin\.missing\.Shortest'$",
        ),
    ],
)
@pytest.mark.usefixtures("package")
def test_nothing_else_may_be_named(listed, target, message):
    values = compose_values("run", [f"plugins={listed}", *SMALL])
    with pytest.raises(ConfigError, match=rf"^reranker\._target_: .*{message}"):
        build({**values, "reranker": {"_target_": target}})


@pytest.mark.usefixtures("package")
def test_a_module_that_does_not_import_says_why(tmp_path):
    (tmp_path / "its_parts").mkdir()
    (tmp_path / "its_parts" / "__init__.py").write_text("")
    (tmp_path / "its_parts" / "short.py").write_text("import a_package_that_is_not_here\n")
    values = compose_values("run", ["plugins=[its_parts]", *SMALL])
    message = r"got 'its_parts\.short\.Shortest' \(No module named 'a_package_that_is_not_here'\)"
    with pytest.raises(ConfigError, match=message):
        build({**values, "reranker": {"_target_": "its_parts.short.Shortest"}})


def test_a_part_of_its_own_is_a_part(package):
    values = compose_values("run", [f"plugins=[{package}]", *SMALL])
    pair = {"_target_": "its_plugin.Pair", "source": values["retriever"]}
    shortest = {"_target_": "its_plugin.Shortest", "depth": 3}
    built = build({**values, "reranker": {**pair, "first": shortest}})
    assert built.reranker.first.depth == 3
    with pytest.raises(ConfigError, match=r"^reranker\.first: must be a Shortest, got 3$"):
        build({**values, "reranker": {**pair, "first": 3}})


@pytest.mark.parametrize(
    "listed, message",
    [
        ("[no_such_package]", "got 'no_such_package' (ModuleNotFoundError: "),
        ("its_broken", "got 'its_broken' (ZeroDivisionError: "),
        ("[3]", "must be a list of packages, such as [my_package], got 3"),
        ("[a/b]", "must be a list of packages, such as [my_package], got 'a/b'"),
    ],
)
def test_a_package_that_cannot_be_imported_is_one_clear_error(
    listed, message, tmp_path, monkeypatch, caplog
):
    (tmp_path / "its_broken.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)
    assert main(["run", f"plugins={listed}", "reranker=its_shortest"]) == 2
    (error,) = [r.message for r in caplog.records if r.levelname == "ERROR"]
    assert error.startswith("recross: plugins: must be ")
    assert message in error


def test_a_package_that_announces_itself_joins_without_being_listed(package, tmp_path):
    info = tmp_path / "its_plugin-1.5.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: its_plugin\nVersion: 1.5\n")
    (info / "entry_points.txt").write_text(f"[recross.plugins]\nany_name = {package}\n")
    (info / "top_level.txt").write_text("its_plugin\n")
    experiment = load_experiment("retriever=bm25", "reranker=its_shortest")
    assert type(experiment.reranker).__name__ == "Shortest"
    with pytest.raises(InputError, match="that of a network, got the option 'its_shortest'"):
        load_reranker("its_shortest")


def test_the_list_of_options_has_those_of_a_package_and_of_a_folder(package, tmp_path, capsys):
    assert main(["options"]) == 0
    assert "its_shortest" not in capsys.readouterr().out
    option = "# Two layers that read 48 tokens.\ndefaults: [embedded_l2, _self_]\nmax_length: 48\n"
    for folder in ("reranker", "flavour"):
        (tmp_path / "my_conf" / folder).mkdir(parents=True)
        (tmp_path / "my_conf" / folder / "small.yaml").write_text(option)
    own = ["--config-dir", str(tmp_path / "my_conf")]
    assert main(["options", "reranker", "flavour", f"plugins={package}", *own]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if not line.startswith(" ")] == ["reranker", "flavour"]
    names = [line.split()[0] for line in lines if line.startswith(" ")]
    shipped = list_options()["reranker"]
    assert names == [*sorted([*shipped, "its_shortest", "small"]), "small"]
    assert "  its_shortest         The shortest first." in lines


@pytest.mark.parametrize(
    "word, message",
    [
        ("rerankers", "group must be one of cache, collection, .*, got 'rerankers'"),
        ("plugins=no_such_package", "plugins: must be packages that can be imported"),
        ("retriever=bm25", "group must be one of cache, .*, got 'retriever=bm25'"),
        ("--config-dir=no/such", "--config-dir must be a folder, got 'no/such'"),
    ],
)
def test_the_list_of_options_takes_groups_packages_and_a_folder(word, message, caplog):
    assert main(["options", word]) == 2
    (error,) = [r.message for r in caplog.records if r.levelname == "ERROR"]
    assert re.search(message, error)
