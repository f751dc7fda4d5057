import logging

from recross.command.cli import main
from recross.command.evaluating import evaluate_run_files
from recross.runs import Run


def test_excluded_documents_are_left_out_before_anything_is_measured(tmp_path, caplog):
    run = Run.from_scores("toy", {"q1": {"q1": 3.0, "d2": 2.0, "d1": 1.0}})
    run.write(tmp_path / "toy.trec")
    (tmp_path / "test.qrels").write_text("q1 0 d1 1\n")
    (tmp_path / "excluded.tsv").write_text("q1\td2\n")
    words = [str(tmp_path / "toy.trec"), "--qrels", str(tmp_path / "test.qrels")]
    words += ["--measures", "RR"]
    assert "| 0.3333 [" in evaluate_run_files(words)
    assert "| 0.5000 [" in evaluate_run_files([*words, "--ignore-identical-ids"])
    both = [*words, "--ignore-identical-ids", "--excluded", str(tmp_path / "excluded.tsv")]
    assert "| 1.0000 [" in evaluate_run_files(both)
    with caplog.at_level(logging.INFO, "recross"):
        assert main(["evaluate", *both]) == 0
    assert "2 documents left out that are excluded" in caplog.text
