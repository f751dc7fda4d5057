"""The folder of an experiment: finished whole, verified before it is reused, written by one."""

import json

import pytest
import torch

from recross import store
from recross.command.cli import main
from recross.experiment.place import Place
from recross.training.module import RankingModule
from recross.training.progress import TrainingFolder
from tests.experiment.tiny_experiment import folder_of, read_facts, read_steps, write_tiny


@pytest.fixture
def words(tmp_path):
    return write_tiny(tmp_path)


class Killed(BaseException):
    """The end of the process at one place."""


def kill(*_, **__):
    raise Killed


@pytest.mark.parametrize("owner, name", [(store, "sync_tree"), (TrainingFolder, "finish")])
def test_a_kill_after_the_last_step_trains_nothing_again_and_keeps_the_curves(
    words, tmp_path, monkeypatch, owner, name
):
    whole = getattr(owner, name)
    at_training = owner is not store

    def killed(*arguments):
        if at_training or "checkpoints" in str(arguments[0]):
            kill()
        whole(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, killed)
        with pytest.raises(Killed):
            main(["run", *words])
    assert not list((tmp_path / "out/store/checkpoints").glob("*/manifest.json"))
    monkeypatch.setattr(RankingModule, "training_step", kill)
    assert main(["run", *words]) == 0
    assert read_steps(folder_of(tmp_path)) == [1, 2, 3, 4]
    record = json.loads((folder_of(tmp_path) / "result.json").read_text())
    assert (record["training"]["steps"], record["status"]) == (4, "done")


def test_a_checkpoint_from_the_store_brings_its_curves(words, tmp_path):
    assert main(["run", *words]) == 0
    before = read_steps(folder_of(tmp_path))
    assert main(["run", *words, "reuse=false"]) == 0
    assert read_steps(folder_of(tmp_path)) == before == [1, 2, 3, 4]


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("threads")
def test_the_weights_of_as_many_threads_are_the_same_whatever_the_store_holds(words, tmp_path):
    weights = []
    for output, counts in (("both", "1"), ("both", "2"), ("alone", "2"), ("both", "1")):
        own = [f"output={tmp_path / output}", f"hardware.threads={counts}", f"name=t{counts}"]
        assert main(["train", *words, *own]) == 0
        found = tmp_path / output / "s" / f"t{counts}" / "seed=0/checkpoint/model.safetensors"
        weights.append(found.read_bytes())
    assert weights[1] == weights[2]
    assert weights[0] == weights[3]
    manifests = (tmp_path / "both/store/checkpoints").glob("[!.]*/manifest.json")
    identities = [json.loads(path.read_text())["identity"]["summed"] for path in manifests]
    assert sorted(identity["threads"] for identity in identities) == [1, 2]


def test_a_finished_folder_is_reused_only_while_every_file_of_it_is_sound(words, tmp_path, caplog):
    assert main(["run", *words]) == 0
    folder = folder_of(tmp_path)
    whole = read_facts(folder / "result.json")
    measured = (folder / "measures.json").read_bytes()
    sealed = json.loads((folder / "manifest.json").read_text())["files"]
    assert sealed.keys() >= {
        *("candidates.trec", "reranked.trec", "interpolated.trec", "measures.json", "texts.json"),
        *("result.json", "checkpoint/model.safetensors", "checkpoint/README.md"),
    }
    caplog.clear()
    assert main(["train", *words]) == 0  # changes nothing of what was finished
    assert main(["run", *words]) == 0
    assert "finished before, reused" in caplog.text
    for number, name in enumerate(("reranked.trec", "result.json", "checkpoint/model.safetensors")):
        content = (folder / name).read_bytes()
        damaged = (b"", content[:-1], content[:40] + bytes([content[40] ^ 1]) + content[41:])
        (folder / name).write_bytes(damaged[number])
        caplog.clear()
        assert main(["run", *words]) == 0
        (said,) = [text for text in caplog.messages if "computed again" in text]
        assert str(folder) in said
        assert name in said
        assert read_facts(folder / "result.json") == whole
        assert (folder / "measures.json").read_bytes() == measured


def test_a_failure_is_not_written_over_a_finished_result(tmp_path):
    result = tmp_path / "result.json"
    result.write_text('{"status": "done"}')
    finished = []
    place = Place(
        result,
        tmp_path / "config.yaml",
        failure=result,
        lock=tmp_path / ".lock",
        is_finished=lambda: bool(finished),
    )
    finished.append(True)
    place.record_failure({"name": "x"}, RuntimeError("late"))
    assert json.loads(result.read_text()) == {"status": "done"}
    assert place.find_failure() == "RuntimeError: late"
    place.forget_failure()
    assert place.find_failure() is None
    finished.clear()
    place.record_failure({"name": "x"}, RuntimeError("first"))
    assert json.loads(result.read_text())["status"] == "failed"
    assert place.find_failure() == "RuntimeError: first"
    place.forget_failure()
    assert place.find_failure() == "no result was written"
