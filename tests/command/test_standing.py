"""How far a sweep is follows from its files alone."""

import json
import os
import time

import pytest

from recross.artefacts.locks import hold_alone
from recross.collections.files import write_beir
from recross.command.cli import main
from recross.command.standing import describe_sweep
from recross.errors import InputError
from recross.experiment.place import Place
from recross.experiment.sweep_record import SWEEP, read_sweep, record_sweep
from recross.store import write_json
from tests.conftest import toy_collection


def place_of(folder, name):
    cell = folder / name
    cell.mkdir(parents=True, exist_ok=True)
    result = cell / "result.json"
    return Place(result, cell / "config.yaml", result, cell / ".lock", study=folder)


def begin(place):
    place.config.write_text("seed: 0")
    moment = time.time() + 1
    os.utime(place.config, (moment, moment))


def test_cells_are_done_running_waiting_failed_or_lost_and_the_rest_is_estimated(tmp_path):
    names = ["first", "second", "running", "failed", "lost", "waiting", "later"]
    places = {name: place_of(tmp_path, name) for name in names}
    record_sweep(tmp_path, list(places.values()))
    for name in names[:5]:
        begin(places[name])
    for name, seconds in (("first", 600), ("second", 1200)):
        write_json(places[name].result, {"status": "done"})
        moment = places[name].config.stat().st_mtime + seconds
        os.utime(places[name].result, (moment, moment))
    write_json(places["failed"].failure, {"status": "failed", "error": "InputError: no"})
    with hold_alone(places["running"].lock, "x"):
        text, code = describe_sweep([str(tmp_path)])
    head, estimate, *lines = text.splitlines()
    assert code == 1
    assert head == f"{tmp_path}: 7 cells, 2 done, 1 running, 2 waiting, 1 failed, 1 lost"
    assert estimate.startswith("about 4")  # minutes: three cells of 15, one of which has begun
    assert estimate.endswith(" left, 1 at a time; a cell took 15:00")
    running, lost, failed = lines
    assert running.startswith("  running  running  since 0:")
    assert lost == "  lost     lost"
    assert failed == "  failed   failed  InputError: no"


def test_a_second_sweep_keeps_what_the_first_one_has_begun(tmp_path):
    first, never, second = (place_of(tmp_path, name) for name in ("first", "never", "second"))
    record_sweep(tmp_path, [first, never])
    begin(first)
    record_sweep(tmp_path, [second])
    assert [cell.place.result for cell in read_sweep(tmp_path)] == [first.result, second.result]


def test_a_folder_without_a_sweep_or_with_another_record_is_refused(tmp_path):
    with pytest.raises(InputError, match="status needs the folder of a sweep"):
        read_sweep(tmp_path)
    (tmp_path / SWEEP).write_text(json.dumps({"cells": [{"result": "x"}]}))
    with pytest.raises(InputError, match="must be as a sweep wrote it, got"):
        read_sweep(tmp_path)


def test_a_sweep_that_ended_and_one_that_found_everything_done_have_all_cells_done(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    write_beir(tmp_path / "toy", toy_collection())
    words = ["run", "-m", "collection=files", "collection.folder=toy", "output=out", "study=s"]
    words += ["retriever=bm25,random", "reranker=none", "latency_queries=0"]
    for _ in range(2):
        assert main(words) == 0
        capsys.readouterr()
        assert main(["status", "out/s"]) == 0
        assert capsys.readouterr().out == "out/s: 2 cells, 2 done\n"
