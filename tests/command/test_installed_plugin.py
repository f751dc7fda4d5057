"""Proof that a package of the user's own needs no edit here: installed, and run by name."""

import json
import os
import subprocess
import sys

import pytest

from recross.collections.files import write_beir
from recross.runs import Run
from tests.conftest import save_tiny, toy_collection

FILES = {
    "pyproject.toml": """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "tempered-plugin"
version = "0.3"

[tool.setuptools]
packages = ["tempered", "tempered.parts"]

[tool.setuptools.package-data]
tempered = ["conf/**/*.yaml"]
""",
    "tempered/__init__.py": '"""A package that recross has never seen."""\n',
    "tempered/parts/__init__.py": "",
    "tempered/parts/reranker.py": '''
from dataclasses import dataclass
from typing import Annotated

from recross import Run
from recross.parts.bounds import Gt
from recross.rerankers.cross_encoder import CrossEncoder


@dataclass(frozen=True)
class Tempered(CrossEncoder):
    """A cross-encoder whose scores are divided by a temperature."""

    temperature: Annotated[float, Gt(0)] = 1.0

    def rerank(self, candidates, collection):
        run = super().rerank(candidates, collection)
        scores = {
            query_id: {doc.doc_id: doc.score / self.temperature for doc in ranking}
            for query_id, ranking in run.rankings.items()
        }
        return Run.from_scores("tempered", scores)
''',
    "tempered/parts/loss.py": '''
from dataclasses import dataclass

from recross.training.losses.loss import Loss


@dataclass(frozen=True)
class Flat(Loss):
    """The same value whatever the scores are: nothing is learned."""

    value: float = 7.0

    def __call__(self, scores, targets):
        return scores.nan_to_num().sum() * 0 + self.value
''',
    "tempered/parts/negatives.py": '''
from dataclasses import dataclass

from recross.negatives.sampler import NegativeSampler


@dataclass(frozen=True)
class Offered:
    doc_ids: tuple

    @property
    def counts(self):
        return {"offered by the plug-in": len(self.doc_ids)}

    def draw(self, query_id, positive, size, rng):
        return [doc_id for doc_id in self.doc_ids if doc_id != positive][:size]

    def first_stage_scores(self, query_id, doc_ids):
        return None


@dataclass(frozen=True)
class InOrder(NegativeSampler):
    """The documents of the collection in its own order, the first ones first."""

    limit: int = 50

    def mine(self, collection, split, store):
        return Offered(tuple(collection.documents)[: self.limit])
''',
    "tempered/conf/reranker/tempered.yaml": """
# A cross-encoder at a temperature.
_target_: tempered.parts.reranker.Tempered
checkpoint: tiny
fresh_head: true
max_length: 32
temperature: 4.0
""",
    "tempered/conf/loss/flat.yaml": """
# The same value whatever the scores are.
_target_: tempered.parts.loss.Flat
value: 7.0
""",
    "tempered/conf/negatives/in_order.yaml": """
# The first documents of the collection.
_target_: tempered.parts.negatives.InOrder
limit: 50
""",
}
PARTS = ["reranker=tempered", "loss=flat", "negatives=in_order", "retriever=bm25", "depth=10"]
SMALL = ["collection=files", "collection.folder=toy", "output=out", "study=s", "name=proof"]
SMALL += ["training.steps=2", "training.validations=1", "training.batch_size=4"]
SMALL += ["training.negatives_per_positive=3", "latency_queries=0", "interpolate=false"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a collection and a checkpoint, and the package installed beside them."""
    folder = tmp_path_factory.mktemp("plugin")
    for name, text in FILES.items():
        path = folder / "source" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.lstrip("\n"))
    pytest.importorskip("setuptools", reason="builds the package")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    command += ["--no-build-isolation", "--target", str(folder / "installed")]
    done = subprocess.run(
        [*command, str(folder / "source")], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    write_beir(folder / "toy", toy_collection())
    save_tiny(folder / "tiny")
    return folder


def run(place, *words):
    paths = [str(place / "installed"), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    command = [sys.executable, "-m", "recross", "run", *SMALL, *words]
    return subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True)


@pytest.mark.ci
@pytest.mark.timeout(900)
def test_a_re_ranker_a_loss_and_a_sampler_of_an_installed_package_run_by_name(place):
    done = run(place, "plugins=[tempered]", *PARTS)
    assert done.returncode == 0, done.stderr
    folder = place / "out" / "s" / "proof" / "seed=0"
    result = json.loads((folder / "result.json").read_text())
    parts = {name: result[name] for name in ("reranker", "loss", "negatives")}
    assert {name: part["class"] for name, part in parts.items()} == {
        "reranker": "tempered.parts.reranker.Tempered",
        "loss": "tempered.parts.loss.Flat",
        "negatives": "tempered.parts.negatives.InOrder",
    }
    assert {part["version"] for part in parts.values()} == {"0.3"}
    assert parts["reranker"]["temperature"] == 4.0
    steps = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    losses = [step["loss"] for step in steps if "loss" in step]
    assert losses == pytest.approx([7.0, 7.0])
    assert '"offered by the plug-in": 50' in json.dumps(result["training"])
    reranked = Run.read(folder / "reranked.trec")
    assert reranked.name == "tempered"


@pytest.mark.ci
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "words, message",
    [
        (
            ["plugins=[tempered]", *PARTS, "loss._target_=tempered.parts.loss.Steep"],
            "loss._target_: must name a class of recross or tempered, got 'tempered.parts.loss.S",
        ),
        (
            ["reranker=none", "retriever=bm25", "loss._target_=tempered.parts.loss.Flat"],
            "loss._target_: must name a class of recross, got 'tempered.parts.loss.Flat'",
        ),
    ],
)
def test_a_misnamed_class_and_an_unlisted_package_are_refused(place, words, message):
    done = run(place, *words)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
