"""What wandb's own offline files say: one run per experiment, its files, what they came from."""

import importlib.util
import json
import re
import time
from pathlib import Path

import pytest
import wandb

from recross.command.cli import main
from recross.errors import InputError, RunError
from recross.tracking.weights_and_biases import WeightsAndBiases, log_table
from tests.test_pipeline import item_key, wandb_records

RESULT = {"study": "s", "fingerprint": "abc", "measures": {"MRR@10": 0.25}, "loss": "listwise"}


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "s" / "name=1" / "seed=0"
    (folder / "checkpoint").mkdir(parents=True)
    (folder / "candidates.trec").write_text("q Q0 d 1 1.0 x\n")
    (folder / "result.json").write_text("{}")
    (folder / "checkpoint" / "model.safetensors").write_text("weights")
    return folder


def track(folder, config, tracker=None):
    log = (tracker or WeightsAndBiases()).open(folder, "s", "name=1", config)
    log.log(1, {"loss": 0.5})
    log.finish(RESULT)
    return log.run.id


def records(folder, run_id, done, patience_seconds=60):
    """All records of a run's files; another process writes them, a little later."""
    until = time.monotonic() + patience_seconds
    while True:
        paths = folder.glob(f"wandb/offline-run-*-{run_id}/run-{run_id}.wandb")
        found = [record for path in sorted(paths) for record in wandb_records(path)]
        if done(found) or time.monotonic() > until:
            return found
        time.sleep(0.2)


def artifacts(folder, run_id, count):
    def all_there(found):
        return len(of(found)) >= count

    def of(found):
        logged = [r.request.log_artifact.artifact for r in found if r.HasField("request")]
        return [a for a in [*logged, *(r.artifact for r in found)] if a.name]

    return {a.type: a for a in of(records(folder, run_id, all_there))}


def test_files_are_kept_with_the_run_and_say_what_they_were_made_from(folder):
    run_id = track(folder, {"depth": 10})
    found = artifacts(folder, run_id, 4)
    assert set(found) == {"candidates", "model", "results", "run_table"}
    (file,) = found["model"].manifest.contents
    assert (file.path, file.size) == ("checkpoint/model.safetensors", len("weights"))
    assert Path(file.local_path) == folder / "checkpoint" / "model.safetensors"
    of = {kind: json.loads(a.metadata) for kind, a in found.items() if a.metadata}
    assert of["candidates"] == {"study": "s", "fingerprint": "abc"}
    assert of["model"]["candidates"] == found["candidates"].digest
    assert of["results"]["checkpoint"] == found["model"].digest
    assert of["results"]["measures"] == {"MRR@10": 0.25}


def test_where_an_offline_run_lies_and_how_to_send_it_is_said(folder, caplog, monkeypatch):
    monkeypatch.chdir(folder)
    caplog.set_level("INFO")
    run_id = track(folder, {})
    (said,) = [line for line in caplog.messages if line.startswith("wandb: ")]
    _, _, command = said.partition("to send it: wandb sync ")
    (here,) = folder.glob("wandb/offline-run-*")
    assert Path(command) == here.relative_to(folder)
    assert (folder / command / f"run-{run_id}.wandb").is_file()


def test_what_an_interruption_left_of_a_run_is_sent_with_it(folder, caplog, monkeypatch):
    monkeypatch.chdir(folder)
    run_id = track(folder, {})
    (first,) = Path("wandb").glob("offline-run-*")
    earlier = first.rename(first.with_name(f"offline-run-20200101_000000-{run_id}"))
    caplog.set_level("INFO")
    caplog.clear()
    assert track(folder, {}) == run_id
    (second,) = set(Path("wandb").glob("offline-run-*")) - {earlier}
    (said,) = [line for line in caplog.messages if line.startswith("wandb: ")]
    assert said == f"wandb: offline run in {second}; to send it: wandb sync {earlier} {second}"


def test_a_whole_run_says_once_how_it_is_sent_after_an_interruption_too(
    beir_folder, tmp_path, caplog
):
    words = ["collection=files", f"collection.folder={beir_folder}", f"output={tmp_path / 'out'}"]
    words += ["retriever=bm25", "reranker=oracle", "study=s", "latency_queries=0", "tracking=wandb"]

    def run_and_read():
        caplog.clear()
        assert main(["run", *words]) == 0
        said = "\n".join(caplog.messages).splitlines()
        return [line.partition("wandb sync ")[2].split() for line in said if "wandb sync" in line]

    told = run_and_read()
    (first,) = map(str, tmp_path.glob("out/s/*/seed=0/wandb/offline-run-*"))
    assert told == [[first]]
    (result,) = tmp_path.glob("out/s/*/seed=0/result.json")
    result.unlink()  # as an interruption leaves it
    earlier = re.sub(r"-run-\d+_\d+-", "-run-20200101_000000-", first)
    Path(first).rename(earlier)
    told = run_and_read()
    later = {*map(str, tmp_path.glob("out/s/*/seed=0/wandb/offline-run-*"))} - {earlier}
    assert told == [[earlier, *later]]


def test_the_same_config_goes_on_in_the_same_run_and_another_does_not(folder):
    first = track(folder, {"depth": 10})
    assert track(folder, {"depth": 10}) == first
    assert track(folder, {"depth": 20}) != first


def test_files_stay_where_that_is_asked(folder):
    run_id = track(folder, {}, WeightsAndBiases(artifacts=False))
    finished = records(folder, run_id, lambda found: any(r.HasField("exit") for r in found))
    assert finished
    assert set(artifacts(folder, run_id, 1)) <= {"run_table"}  # wandb's own, of the one-row table


def test_a_studys_table_is_a_run_of_its_own(tmp_path):
    (tmp_path / "table.csv").write_text("model,MRR@10\nBM25 only,0.4877\nother,–\n")
    run_id = log_table(tmp_path, "recross", mode="offline")
    (table,) = tmp_path.glob("wandb/offline-run-*/files/media/table/table*.json")
    assert json.loads(table.read_text())["data"] == [["BM25 only", 0.4877], ["other", "–"]]
    found = records(tmp_path, run_id, lambda own: any(r.HasField("exit") for r in own))
    keys = {item_key(item) for record in found for item in record.history.item}
    assert any(key.startswith("table") for key in keys)
    with pytest.raises(InputError, match="must hold a table.csv"):
        log_table(tmp_path / "nothing", "recross", mode="offline")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the package's own
def test_the_workspace_shows_the_runs_of_one_study():
    pytest.importorskip("wandb_workspaces", reason="wandb-workspaces is not installed")
    path = Path(__file__).parents[2] / "experiments" / "dashboard.py"
    spec = importlib.util.spec_from_file_location("dashboard", path)
    dashboard = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(dashboard)
    found = dashboard.workspace("negatives", "me", "recross", "MRR@10")
    text = found._to_model().model_dump_json()
    for part in ("summary:latency_ms_per_100/p50", "dev MRR@10", "negatives", "experiment"):
        assert part in text


def test_what_wandb_refuses_is_one_line_with_a_way_out(tmp_path, monkeypatch):
    def refuse(**_settings):
        raise wandb.errors.UsageError("No API key configured.\nUse `wandb login` to log in.")

    monkeypatch.setattr(wandb, "init", refuse)
    message = (
        r"^tracking: wandb must take a run in mode online, and said: No API key configured\. Use"
    )
    with pytest.raises(RunError, match=message) as raised:
        track(tmp_path, {}, WeightsAndBiases(mode="online"))
    assert "tracking.mode=offline" in str(raised.value)
