"""What is built and published: the wheel holds all that a checkout has, and says what it is."""

import importlib.metadata
import re
import subprocess
import sys
import tomllib
import zipfile
from email.parser import Parser
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
import yaml
from packaging.specifiers import SpecifierSet

from hatch_build import make_links_absolute
from recross.command.building import build
from recross.command.composition import compose_values
from recross.errors import ConfigError
from recross.machine import packages

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    with zipfile.ZipFile(path) as file:
        yield file


@pytest.fixture(scope="module")
def metadata(wheel):
    (name,) = [name for name in wheel.namelist() if name.endswith("/METADATA")]
    return Parser().parsestr(wheel.read(name).decode())


def test_what_is_pinned_installs_on_every_python_that_is_promised():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    oldest = project["requires-python"].removeprefix(">=") + ".0"
    pins = re.findall(r"^([\w.-]+)==", (ROOT / "constraints.txt").read_text(), re.M)
    refused = {}
    for name in pins:
        try:
            needs = importlib.metadata.metadata(name).get("Requires-Python") or ""
        except importlib.metadata.PackageNotFoundError:  # of an extra
            continue
        if not SpecifierSet(needs).contains(oldest):
            refused[name] = needs
    assert not refused


def test_the_wheel_holds_types_licence_and_every_config(wheel):
    names = set(wheel.namelist())
    assert "recross/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    for path in (ROOT / "conf").rglob("*.yaml"):
        assert f"recross/{path.relative_to(ROOT)}" in names
    for path in (ROOT / "src/recross").rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            assert path.relative_to(ROOT / "src").as_posix() in names


def test_every_link_of_the_description_leads_somewhere_from_anywhere(metadata):
    text = metadata.get_payload()
    assert re.findall(r'<img src="https?://[^"]+/quality_latency.png"', text)
    assert 'src="' not in text.replace('src="https://', "")
    assert text.count("](http") == text.count("](")


def test_images_are_linked_as_files_and_pages_as_pages():
    text = "![a](docs/a.svg) and [b](docs/b.md), [c](https://x.org/c), [d](#d)"
    assert make_links_absolute(text, "https://h/r") == (
        "![a](https://h/r/raw/main/docs/a.svg) and [b](https://h/r/blob/main/docs/b.md),"
        " [c](https://x.org/c), [d](#d)"
    )
    sized = '<img src="docs/a.png" width="9"> <img src="https://x.org/b.png">'
    assert make_links_absolute(sized, "https://h/r") == (
        '<img src="https://h/r/raw/main/docs/a.png" width="9"> <img src="https://x.org/b.png">'
    )


def test_the_citation_and_the_package_are_the_same_version_and_licence(metadata):
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert (cited["version"], cited["license"]) == (
        metadata["Version"],
        metadata["License-Expression"],
    )
    assert [author["name"] for author in cited["authors"]] == [metadata["Author"]]


@pytest.mark.parametrize(
    "override", ["tracking=wandb", "retriever=biencoder_hnsw", "retriever=biencoder_ivf"]
)
def test_a_missing_package_of_an_extra_is_named_before_any_work(override, monkeypatch):
    package = "wandb" if "wandb" in override else "faiss"
    for name in ("recross.tracking.weights_and_biases", "recross.retrieval.approximate_index"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, package, None)  # an import of it fails
    with pytest.raises(ConfigError, match=rf"pip install 'recross\[{package}\]'"):
        build(compose_values("run", [override, "training=none", "reranker=none"]))


@pytest.mark.parametrize(
    ("override", "extra"),
    [
        *(("tracking=wandb", "wandb"), ("tracking=tensorboard", "tensorboard")),
        *(("retriever=biencoder_hnsw", "faiss"), ("hardware.backend=onnx", "onnx")),
    ],
)
def test_a_bare_folder_of_that_name_is_no_package_of_an_extra(override, extra, monkeypatch):
    monkeypatch.setattr(packages, "find_spec", lambda name: ModuleSpec(name, None))
    with pytest.raises(ConfigError, match=rf"extra {extra}|pip install 'recross\[{extra}\]'"):
        build(compose_values("run", [override, "training=none", "reranker=none"]))


def test_the_package_is_imported_without_the_packages_of_extras():
    program = (
        "import sys; sys.modules.update(wandb=None, faiss=None, onnxruntime=None, httpx=None)\n"
        "from recross import load_experiment, load_reranker\n"
        "load_experiment('reranker=none', 'training=none', 'retriever=bm25')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
