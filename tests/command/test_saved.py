"""A config that a command saved is a command: repeated as it is, or changed."""

import json

import pytest
import yaml

from recross.command.catalogue import read_target
from recross.command.cli import main
from recross.command.saved import find_target
from recross.runs import Run
from tests.experiment.tiny_experiment import write_tiny

FACTS = ("name", "label", "fingerprint", "measures", "depth")


@pytest.fixture
def finished(beir_folder, tmp_path):
    """The folder of a finished experiment, whose name has signs of overrides."""
    words = ["collection=files", f"collection.folder={beir_folder}", f"output={tmp_path / 'out'}"]
    words += ["retriever=bm25", "reranker=oracle", "study=s", "latency_queries=0", "depth=7"]
    assert main(["run", *words, "label=row"]) == 0
    (folder,) = (tmp_path / "out" / "s").glob("*/seed=0")
    assert "=" in folder.parent.name
    return folder


def read(folder):
    return json.loads((folder / "result.json").read_text())


def test_a_saved_config_repeats_its_experiment(finished, tmp_path):
    before, saved = read(finished), (finished / "config.yaml").read_text()
    (finished / "result.json").unlink()
    assert main(["run", "--from", str(finished / "config.yaml")]) == 0
    again = read(finished)
    assert [again[fact] for fact in FACTS] == [before[fact] for fact in FACTS]
    assert (finished / "config.yaml").read_text() == saved
    command = json.loads((finished / "environment.json").read_text())["command"]
    assert command[:4] == ["recross", "run", "--from", str(finished / "config.yaml")]
    elsewhere = f"output={tmp_path / 'other'}"
    assert main(["run", f"--from={finished / 'config.yaml'}", elsewhere]) == 0
    (copy,) = (tmp_path / "other" / "s").glob("*/seed=0")
    assert copy.parent.name == finished.parent.name
    assert read(copy)["fingerprint"] == before["fingerprint"]
    trec = [Run.read(folder / "reranked.trec").rankings for folder in (finished, copy)]
    assert trec[0] == trec[1]


def test_what_is_changed_gets_a_folder_and_a_row_of_its_own(finished):
    before = (finished / "result.json").read_bytes()
    assert main(["run", "--from", str(finished / "config.yaml"), "-m", "depth=3,5", "seed=1"]) == 0
    assert (finished / "result.json").read_bytes() == before
    made = [read(path.parent) for path in finished.parents[1].glob("*/seed=1/result.json")]
    assert sorted((one["depth"], one["label"]) for one in made) == [
        (3, "row.depth=3"),
        (5, "row.depth=5"),
    ]


def test_another_version_of_recross_is_named(finished, caplog):
    path = finished / "config.yaml"
    caplog.clear()
    assert main(["run", "--from", str(path)]) == 0
    assert "results may differ" not in caplog.text
    path.write_text("# saved by recross 0.0.1\n" + path.read_text().partition("\n")[2])
    assert main(["run", "--from", str(path)]) == 0
    assert "its version of recross is 0.0.1, this is" in caplog.text
    path.write_text(path.read_text().partition("\n")[2])
    assert main(["run", "--from", str(path)]) == 0
    assert "its version of recross is not said" in caplog.text


def test_what_train_saved_starts_run_in_the_same_folder_and_the_reverse(tmp_path, caplog):
    words = [word for word in write_tiny(tmp_path) if not word.startswith("name=")]
    assert main(["train", *words]) == 0
    (folder,) = (tmp_path / "out" / "s").glob("*/seed=0")
    saved, record = folder / "config.yaml", (folder / "training.json").read_text()
    assert main(["run", "--from", str(saved)]) == 0
    assert read(folder)["name"] == read(folder)["label"] == folder.parent.name
    assert read(folder)["training"] == json.loads(record)["training"]
    caplog.clear()
    assert main(["run", *words]) == 0
    assert "finished before, reused" in caplog.text
    assert main(["train", "--from", str(saved), "-m", "seed=0,1"]) == 0
    targets = {path.parent.name: read_target(path) for path in folder.parent.glob("*/config.yaml")}
    assert targets == dict.fromkeys(("seed=0", "seed=1"), find_target("train"))
    assert [path.name for path in folder.parents[1].iterdir() if path.is_dir()] == [
        folder.parent.name
    ]


def test_what_retrieve_saved_starts_no_other_command(beir_folder, tmp_path, caplog):
    words = ["collection=files", f"collection.folder={beir_folder}", f"output={tmp_path / 'out'}"]
    assert main(["retrieve", *words, "retriever=bm25"]) == 0
    saved = str(tmp_path / "out" / "retrieved.yaml")
    for command in ("rerank", "train", "choose"):
        caplog.clear()
        assert main([command, "--from", saved]) == 2
        assert f"got one of recross retrieve in {saved!r}" in caplog.text
    assert main(["retrieve", "--from", saved]) == 0


@pytest.mark.parametrize(
    "content, message",
    [
        (None, "--from must be a .yaml file that exists"),
        ("a: [", "must be a config in YAML"),
        ("- 1\n", "--from must be a config that recross run or train has saved"),
        ("", "--from must be a config that recross run or train has saved"),
        (
            yaml.dump({"_target_": "recross.experiment.retrieval_command.Retrieval"}),
            "has saved, got one of recross retrieve in",
        ),
        (yaml.dump({"_target_": "mine.Retrieval"}), "got the _target_ 'mine.Retrieval' in"),
        (yaml.dump({"_target_": "recross.experiment.experiment.Experiment"}), "missing"),
    ],
)
def test_what_no_run_has_saved_is_refused(tmp_path, caplog, content, message):
    if content is not None:
        (tmp_path / "odd.yaml").write_text(content)
    assert main(["run", "--from", str(tmp_path / "odd.yaml")]) == 2
    assert message in caplog.text
