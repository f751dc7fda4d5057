import logging

from recross.runs import Run
from recross.text_files.trec import read_qrels


def test_what_repeats_is_counted_once_and_said_once(tmp_path, caplog):
    (tmp_path / "a.qrels").write_text("q 0 a 1\nq 0 a 1\nq 0 b 0\nq 0 b 0\nq 0 b 0\n")
    (tmp_path / "a.trec").write_text("q Q0 a 1 2 t\nq Q0 a 1 2 t\nq Q0 b 2 1 t\n")
    with caplog.at_level(logging.WARNING):
        assert read_qrels(tmp_path / "a.qrels") == {"q": {"a": 1, "b": 0}}
        assert Run.read(tmp_path / "a.trec").doc_ids("q") == ["a", "b"]
    assert [record.getMessage().partition(": ")[2] for record in caplog.records] == [
        "3 judgments stand more than once; each counts once",
        "1 lines of a run stand more than once; each counts once",
    ]


def test_of_queries_that_are_not_asked_for_only_the_first_field_is_read(tmp_path, caplog):
    (tmp_path / "a.trec").write_text("other line\nq Q0 a 1 2 t\n")
    assert list(Run.read(tmp_path / "a.trec", ["q"]).rankings) == ["q"]
    assert caplog.records == []
