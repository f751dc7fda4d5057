import pytest

from recross.errors import InputError
from recross.runs import Run, tied_queries


def test_ties_are_broken_by_doc_id_in_descending_order_as_in_trec_eval():
    run = Run.from_scores("toy", {"q1": {"d2": 1.0, "d1": 1.0, "d3": 2.0}})
    assert run.doc_ids("q1") == ["d3", "d2", "d1"]


def test_scores_that_differ_only_in_double_precision_are_ties():
    run = Run.from_scores("toy", {"q1": {"d1": 1.0 + 1e-12, "d2": 1.0}})
    assert run.doc_ids("q1") == ["d2", "d1"]
    assert tied_queries(run) == 1


def test_a_run_file_is_read_back_as_it_was_written(tmp_path):
    run = Run.from_scores("a run", {"q2": {"d1": 0.1, "d2": 1 / 3}, "q1": {"d3": -5.5}})
    run.write(tmp_path / "run.trec")
    again = Run.read(tmp_path / "run.trec")
    assert again.rankings == run.rankings
    first = (tmp_path / "run.trec").read_text().splitlines()[0].split()
    assert first[:4] == ["q2", "Q0", "d2", "1"]
    assert first[5] == "a_run"


def test_the_rank_column_is_not_trusted(tmp_path):
    (tmp_path / "run.trec").write_text("q1 Q0 d1 1 0.5 x\nq1 Q0 d2 2 0.9 x\n")
    assert Run.read(tmp_path / "run.trec").doc_ids("q1") == ["d2", "d1"]


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "must hold at least one line"),
        ("q1 Q0 d1 1 0.5\n", "run.trec:1: expected 6 fields, got 5"),
        ("q1 Q0 d1 1 0.5 x\nq1 Q0 d2 2 high x\n", "run.trec:2: score must be a number, got 'high'"),
        ("q1 Q0 d1 1 0.5 x\nq1 Q0 d1 2 0.4 x\n", "run.trec:2: document 'd1' twice for 'q1'"),
        ("q1 Q0 d1 1 nan x\n", "score must be finite, got nan for 'q1', 'd1'"),
    ],
)
def test_a_bad_run_file_is_refused_with_its_line(tmp_path, text, message):
    (tmp_path / "run.trec").write_text(text)
    with pytest.raises(InputError, match=message):
        Run.read(tmp_path / "run.trec")


def test_a_missing_run_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"run file must exist, got '.*gone.trec'"):
        Run.read(tmp_path / "gone.trec")


def test_depth_must_be_positive():
    with pytest.raises(InputError, match="depth must be at least 1, got 0"):
        Run.from_scores("toy", {}).cut(0)


def test_restricting_keeps_queries_that_the_run_does_not_know_without_documents():
    run = Run.from_scores("toy", {"q1": {"d1": 1.0}}).restrict(["q9", "q1"])
    assert list(run.rankings) == ["q9", "q1"]
    assert run.rankings["q9"] == ()
