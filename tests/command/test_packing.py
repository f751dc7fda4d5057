"""``recross pack``: from a finished experiment to a small folder that is a checkpoint."""

import json

import pytest

from recross.checkpoints.delta_folder import CACHE_VARIABLE
from recross.command import packing
from recross.command.cli import main
from tests.conftest import save_tiny


@pytest.fixture
def finished(beir_folder, tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    base = save_tiny(tmp_path / "tiny")
    words = ["collection=files", f"collection.folder={beir_folder}", "retriever=bm25"]
    words += ["reranker=cross_encoder", f"reranker.checkpoint={base}", "reranker.fresh_head=true"]
    words += ["reranker.max_length=32", "training=smoke", "study=s", "name=n", "depth=5"]
    words += ["latency_queries=0", "interpolate=false", f"output={tmp_path / 'out'}"]
    words += [f"store={tmp_path / 'store'}"]
    assert main(["run", *words]) == 0
    return base, words, tmp_path / "out" / "s" / "n" / "seed=0"


def test_what_is_packed_scores_as_its_manifest_says(finished, tmp_path, capsys):
    base, words, folder = finished
    small = tmp_path / "small"
    assert main(["pack", str(folder), "--base", str(base), "--to", str(small)]) == 0
    assert "100.0% of the difference; dev MRR@10" in capsys.readouterr().out
    manifest = json.loads((small / "delta.json").read_text())
    record = json.loads((folder / "result.json").read_text())
    assert manifest["fingerprint"] == record["fingerprint"]
    assert manifest["recipe"]["steps"] == 2
    assert manifest["data"] == record["data"]
    assert manifest["command"] == "recross run --from small/experiment.yaml"
    assert (small / "experiment.yaml").read_text() == (folder / "config.yaml").read_text()
    changed = [f"reranker.checkpoint={small}", "reranker.fresh_head=false", "training=none"]
    again = ["test_split=dev", "name=again", *changed]
    kept = [word for word in words if not word.startswith(("reranker.", "training", "name"))]
    assert main(["run", *kept, *again]) == 0
    measured = json.loads((tmp_path / "out/s/again/seed=0/result.json").read_text())
    assert manifest["dev"]["measures"] == pytest.approx(measured["measures"])
    assert manifest["dev"]["first_stage"] == pytest.approx(measured["first_stage_measures"])


def test_an_experiment_whose_training_was_asked_for_later_is_packed_as_before(finished, tmp_path):
    base, words, folder = finished
    assert main(["train", *words]) == 0
    assert main(["pack", str(folder), "--base", str(base), "--to", str(tmp_path / "small")]) == 0
    begun_again = ["--from", str(tmp_path / "small" / "experiment.yaml"), "name=again"]
    assert main(["run", *begun_again]) == 0
    assert (tmp_path / "out" / "s" / "again" / "seed=0" / "result.json").is_file()


def test_only_what_an_experiment_has_trained_is_packed(finished, tmp_path, caplog):
    base, _, folder = finished
    assert main(["pack", str(folder.parent), "--to", str(tmp_path / "x")]) == 2
    assert "experiment must be a finished one's folder" in caplog.text
    assert main(["pack", str(folder), "--base", str(base), "--to", str(base)]) == 2
    assert "folder must be empty or new" in caplog.text


@pytest.mark.parametrize("megabytes", ["0", "-1", "nan", "inf"])
def test_a_size_that_is_none_is_refused_before_anything_is_read(megabytes, caplog):
    assert main(["pack", "nowhere", "--to", "x", "--megabytes", megabytes]) == 2
    assert "--megabytes must lie in (0, 100,000]" in caplog.text


def test_what_stops_packing_leaves_nothing(finished, tmp_path, monkeypatch):
    base, _, folder = finished
    monkeypatch.setattr(packing, "_measure", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    before = sorted(tmp_path.iterdir())
    assert main(["pack", str(folder), "--base", str(base), "--to", str(tmp_path / "small")]) == 130
    assert sorted(tmp_path.iterdir()) == before
