"""The re-ranker that comes with the package: it is what its manifest says, and small."""

import shutil

import numpy as np
import pytest

from recross import load_reranker
from recross.checkpoints.delta_folder import DELTA, read_delta_manifest
from recross.checkpoints.location import SHIPPED, locate
from recross.command.building import build
from recross.command.composition import compose_values
from recross.errors import InputError
from recross.evaluation.measures import evaluate

MOST_BYTES = 8_000_000
EVERY = sorted(path.name for path in SHIPPED.iterdir())


def test_all_that_is_shipped_takes_less_than_eight_megabytes():
    files = (path for path in SHIPPED.rglob("*") if path.is_file())
    assert sum(path.stat().st_size for path in files) < MOST_BYTES


@pytest.mark.parametrize("name", EVERY)
def test_a_manifest_tells_recipe_data_seed_measures_and_command(name):
    manifest = read_delta_manifest(SHIPPED / name)
    assert manifest["base"] == "embedded:all-minilm-l6-v2"
    assert {"seed", "collection", "data", "training_data", "recipe", "training", "dev"} <= set(
        manifest
    )
    assert manifest["command"] == f"recross run --from {name}/experiment.yaml"
    assert manifest["dev"]["measures"]["MRR@10"] > manifest["dev"]["first_stage"]["MRR@10"] + 0.03


def test_it_tells_pages_apart_by_what_they_say():
    scores = load_reranker("embedded_reranker").score(
        "Compute the eigenvalues of a symmetric matrix.",
        [
            "Parameters: a, a real symmetric array. Returns: w, the eigenvalues in rising order.",
            "Parameters: path, the file to be opened. Returns: a handle in text mode.",
            "Draws a horizontal bar for each of the given widths.",
        ],
    )
    assert np.argmax(scores) == 0
    assert scores[0] > scores[1:].max() + 2


@pytest.mark.parametrize("name", EVERY)
def test_a_changed_byte_of_any_file_is_refused(name, tmp_path, monkeypatch):
    monkeypatch.setenv("RECROSS_CACHE", str(tmp_path / "cache"))
    copy = tmp_path / name
    shutil.copytree(SHIPPED / name, copy)
    for path in [copy / DELTA, copy / "config.json"]:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        with pytest.raises(InputError, match="must have the SHA-256"):
            locate(str(copy))
        shutil.copy(SHIPPED / name / path.name, path)


@pytest.mark.ci
@pytest.mark.timeout(2400)  # 14,245 documents are encoded and 8,860 pairs scored
def test_its_measures_on_dev_are_those_of_its_manifest():
    """Re-ranks all dev queries of the collection that it was chosen on: minutes."""
    reranker = load_reranker("embedded_reranker")
    manifest = read_delta_manifest(SHIPPED / "reranker-l6")
    experiment = build(compose_values("run", ["experiment=embedded_reranker"]))
    collection = experiment.collection.load()
    candidates = experiment.retrieve(collection, "dev")
    found = evaluate(reranker.rerank(candidates, collection), collection.qrels("dev"), ["MRR@10"])
    assert len(candidates) == manifest["dev"]["queries"]
    assert found.mean["MRR@10"] == pytest.approx(
        manifest["dev"]["measures"]["MRR@10"], abs=0.01
    )  # of .014 that one standard error is
