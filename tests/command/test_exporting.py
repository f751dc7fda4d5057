"""The command that exports a cross-encoder: what is written was compared with the network first."""

import json

import pytest

from recross import load_reranker
from recross.command.cli import main
from recross.experiment import exporting
from tests.experiment.tiny_experiment import folder_of, write_tiny


def test_what_an_experiment_trained_is_exported_and_compared(tmp_path, capsys):
    assert main(["run", *write_tiny(tmp_path)]) == 0
    experiment = folder_of(tmp_path)
    assert main(["export", str(experiment), "--to", str(tmp_path / "exported")]) == 0
    assert "Kendall's tau 1.0000, MRR@10 +0.0000" in capsys.readouterr().out
    record = json.loads((tmp_path / "exported" / "recross_export.json").read_text())
    assert record["quality_gate"]["passed"] is True
    assert record["quality_gate"]["backend"] == "onnx"
    texts = ["a red cat", "an owl"]
    assert load_reranker(tmp_path / "exported").score("red cat", texts) == pytest.approx(
        load_reranker(experiment / "checkpoint").score("red cat", texts), abs=1e-4
    )


def test_what_a_training_alone_made_is_exported(tmp_path):
    assert main(["train", *write_tiny(tmp_path)]) == 0
    experiment = folder_of(tmp_path)
    assert main(["export", str(experiment), "--to", str(tmp_path / "exported")]) == 0
    assert (tmp_path / "exported" / "recross_export.json").is_file()


def test_what_strays_is_not_written(tmp_path, tiny_bert, monkeypatch, caplog):
    compare = exporting.compare_runs

    def stray(*runs):
        return compare(*runs) | {"tau_mean": 0.5}

    monkeypatch.setattr(exporting, "compare_runs", stray)
    words = [word for word in write_tiny(tmp_path) if not word.startswith("training.")]
    words = [*words, f"reranker.checkpoint={tiny_bert}", "reranker.fresh_head=false"]
    assert main(["export", *words, "--to", str(tmp_path / "exported")]) == 1
    assert "strays from fp32" in caplog.text
    assert not [path for path in tmp_path.iterdir() if "export" in path.name]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["reranker=none", "retriever=bm25"], "export takes a cross-encoder with a classification"),
        (["nowhere"], "source must be the folder of an experiment"),
    ],
)
def test_what_cannot_be_exported_is_refused(words, message, tmp_path, caplog):
    assert main(["export", *words, "--to", str(tmp_path / "new")]) == 2
    assert message in caplog.text
