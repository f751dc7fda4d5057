"""What a command needs is looked for before any work, in every cell of a sweep."""

from pathlib import Path

import pytest
import torch

from recross.collections.apidocs import Apidocs
from recross.collections.files import BeirFolder, write_beir
from recross.collections.resplit import Folds, HeldOut
from recross.command.cells import check_cells
from recross.command.cli import main
from recross.errors import ConfigError, InputError
from recross.experiment.readiness import CommandNeeds
from recross.machine.hardware import Hardware
from recross.rerankers.baselines import Oracle
from recross.rerankers.cross_encoder import CrossEncoder
from recross.retrieval.run_file import RunFile
from recross.writing import progress
from tests.conftest import toy_collection


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_beir(tmp_path / "whole", toy_collection())
    write_beir(tmp_path / "nodev", toy_collection())
    (tmp_path / "nodev" / "qrels" / "dev.tsv").unlink()
    return tmp_path


TRAINED = ["collection=files", "retriever=bm25", "reranker=embedded_l2", "negatives=random"]


def lacks(*words):
    with pytest.raises(ConfigError) as raised:
        check_cells("run", [*TRAINED, *words], True, None)
    return raised.value.problems


@pytest.mark.usefixtures("here")
def test_a_training_without_dev_is_told_how_to_get_one():
    (lack,) = lacks("collection.folder=nodev,whole")
    assert lack == (
        "dev_split: must be a split of the collection (test, train), got 'dev';"
        " collection=held_out makes a split dev of training queries"
    )
    held_out = ["collection=held_out", "collection.source.folder=nodev", "retriever=bm25"]
    check_cells("run", held_out, False, None)
    check_cells("run", [*TRAINED, "collection.folder=nodev", "training=none"], False, None)


@pytest.mark.usefixtures("here")
def test_a_misspelt_split_names_the_closest():
    (lack,) = lacks("collection.folder=whole", "test_split=tset,test")
    assert lack.endswith("(dev, test, train), got 'tset'; did you mean test?")


@pytest.mark.skipif(torch.cuda.is_available(), reason="has a GPU")
@pytest.mark.usefixtures("here")
def test_everything_that_is_missing_in_any_cell_is_told_at_once():
    assert sorted(lacks("hardware=cpu,gpu", "collection.folder=whole,nowhere")) == [
        "collection.folder: must be a path that exists, got 'nowhere'",
        "hardware: accelerator must be one this machine has (cpu), got 'gpu'",
    ]


@pytest.mark.usefixtures("here")
def test_nothing_is_begun_of_what_cannot_end(here, caplog):
    words = ["-m", *TRAINED, "collection.folder=whole,nodev", "output=out"]
    assert main(["run", *words]) == 2
    assert "collection=held_out" in caplog.text
    assert not (here / "out").exists()


def test_devices_of_other_machines_are_not_looked_for(here):
    needs = CommandNeeds(BeirFolder(here / "whole"), Hardware(accelerator="gpu"), {})
    assert needs.find_lacks(is_elsewhere=True) == []


def test_paths_and_checkpoints_are_found_wherever_a_part_holds_them(here):
    parts = {"retriever": {"first": [RunFile(here / "no.trec")]}, "reranker": Oracle()}
    needs = CommandNeeds(BeirFolder(here / "whole"), Hardware(), parts, {"split": "test"})
    assert needs.find_lacks() == [
        f"retriever.first[0].path: must be a path that exists, got '{here / 'no.trec'}'"
    ]


def test_sources_say_which_splits_they_will_load(here):
    nodev, whole = BeirFolder(here / "nodev"), BeirFolder(here / "whole")
    for source in (nodev, whole, HeldOut(nodev), Folds(nodev)):
        assert set(source.list_splits()) == source.load().split_queries.keys()
    assert Apidocs(packages=("json",)).list_splits() == ["train", "dev", "test"]


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("command", ["run", "train", "rerank"])
def test_what_takes_seconds_before_the_first_stage_is_said(monkeypatch, command):
    goes_on = []

    def load(_reranker):
        goes_on.append(progress.name_work(progress._reporter._bars))
        raise InputError("no more is wanted of it")

    monkeypatch.setattr(CrossEncoder, "load", load)
    Path("x.trec").write_text("q1 Q0 d1 1 1.0 x\n")
    words = ["collection=files", "collection.folder=whole", "reranker=embedded_l2"]
    more = ["candidates=x.trec"] if command == "rerank" else ["retriever=bm25"]
    assert main([command, *words, *more]) == 2
    assert goes_on == ["loading networks"]
