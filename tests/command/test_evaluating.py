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


def test_a_run_of_other_topics_ends_the_command(tmp_path, caplog):
    (tmp_path / "test.qrels").write_text("2024-1.1 0 d1 1\n2024-2.1 0 d3 2\n")
    Run.from_scores("toy", {"2024-1": {"d1": 3.5}}).write(tmp_path / "none.trec")
    words = [str(tmp_path / "none.trec"), "--qrels", str(tmp_path / "test.qrels")]
    assert main(["evaluate", *words]) == 2
    assert "qrels must judge queries of the run" in caplog.text


def test_queries_without_a_ranking_and_without_judgments_are_said_and_marked(tmp_path, caplog):
    judged, first, second = (str(tmp_path / name) for name in ("qrels", "part.trec", "all.trec"))
    (tmp_path / "qrels").write_text("q1 0 d1 1\nq2 0 d3 2\nq3 0 d9 0\n")
    Run.from_scores("toy", {"q1": {"d1": 3.5}, "q9": {"d1": 9.0}}).write(first)
    Run.from_scores("toy", {q: {"d1": 3.5} for q in ("q1", "q2", "q3")}).write(second)
    values = tmp_path / "values.csv"
    words = [first, second, "--qrels", judged, "--measures", "RR", "--per-query", str(values)]
    printed = evaluate_run_files(words).splitlines()
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in printed]
    assert [first, "3", "2", "1", "1"] in table
    assert [second, "3", "0", "1", "0"] in table
    assert f"{first}: 2 of 3 judged queries are not in the run and score 0, such as 'q2'" in (
        caplog.text
    )
    assert f"{first}: 1 of 2 queries of the run have no judgments" in caplog.text
    assert f"{second}: 1 of 3 judged queries have no relevant document, such as 'q3'" in caplog.text
    assert values.read_text().splitlines() == [
        f"measure,query_id,{first},{second},{first} is ranked",
        "RR,q1,1.0,1.0,1",
        "RR,q2,0.0,0.0,0",
        "RR,q3,0.0,0.0,0",
    ]


def test_nothing_is_counted_where_every_judged_query_is_ranked_and_has_a_relevant_document(
    tmp_path,
):
    (tmp_path / "qrels").write_text("q1 0 d1 1\n")
    Run.from_scores("toy", {"q1": {"d1": 3.5}}).write(tmp_path / "all.trec")
    printed = evaluate_run_files([str(tmp_path / "all.trec"), "--qrels", str(tmp_path / "qrels")])
    assert "Judged queries: 1, all in every run, each with a relevant document." in printed
