import json
import logging
import re

import pytest

from recross.collections.collection import Collection
from recross.collections.files import write_beir
from recross.command.cli import main
from recross.command.evaluating import evaluate_run_files
from recross.errors import InputError
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


def test_several_runs_end_with_one_sentence_that_says_what_was_found(tmp_path):
    queries = [f"q{number}" for number in range(8)]
    (tmp_path / "qrels").write_text("".join(f"{q} 0 d1 1\n" for q in queries))
    late, soon = {"d2": 2.0, "d1": 1.0}, {"d1": 2.0, "d2": 1.0}
    Run.from_scores("late", dict.fromkeys(queries, late)).write(tmp_path / "late.trec")
    Run.from_scores("soon", dict.fromkeys(queries, soon)).write(tmp_path / "soon.trec")
    words = [f"late={tmp_path / 'late.trec'}", f"soon={tmp_path / 'soon.trec'}"]
    words += ["--qrels", str(tmp_path / "qrels"), "--measures", "RR"]
    *_, last = evaluate_run_files(words).splitlines()
    assert last.startswith("soon is best in RR: 1.0000 [1.000, 1.000], +0.5000 from late (p = .0")
    for alone in (words[1:], [*words, "--all-pairs"]):
        assert "is best in" not in evaluate_run_files(alone)


def test_nothing_is_counted_where_every_judged_query_is_ranked_and_has_a_relevant_document(
    tmp_path,
):
    (tmp_path / "qrels").write_text("q1 0 d1 1\n")
    Run.from_scores("toy", {"q1": {"d1": 3.5}}).write(tmp_path / "all.trec")
    printed = evaluate_run_files([str(tmp_path / "all.trec"), "--qrels", str(tmp_path / "qrels")])
    assert "Judged queries: 1, all in every run, each with a relevant document." in printed


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A collection of twelve queries, a run that finds nothing first, and one that finds all."""
    queries = {f"q{n}": f"question {n}" for n in range(12)}
    qrels = {"test": {query_id: {"a": 1, "b": 2} for query_id in queries}}
    documents = {"a": "the first", "b": "the second", "c": "another", "barred": "no candidate"}
    splits = {"test": tuple(queries)}
    write_beir(tmp_path / "toy", Collection("toy", documents, queries, splits, qrels, "toy"))
    (tmp_path / "toy" / "excluded.tsv").write_text("q0\tbarred\n")
    for name, score in (("bad", 0.0), ("good", 3.0)):
        scores = {"a": score, "b": 0.5, "c": 1.0, "barred": -1.0}
        Run.from_scores(name, dict.fromkeys(queries, scores)).write(tmp_path / f"{name}.trec")
    monkeypatch.chdir(tmp_path)
    return tmp_path


COLLECTION = ["--collection", "files", "folder=toy"]


def test_runs_alone_become_a_table_a_plot_and_a_page(study):
    words = ["the first=bad.trec", "ours=good.trec", *COLLECTION, "--output", "out"]
    assert main(["evaluate", *words, "--measures", "MRR@10", "P@1"]) == 0
    written = {path.name for path in (study / "out").iterdir()}
    assert written == {
        *(f"table.{form}" for form in ("md", "csv", "tex", "html")),
        *("measures.png", "measures.svg"),
    }
    markdown = (study / "out" / "table.md").read_text()
    assert "| ours      | 1.0000▲ [1.000, 1.000] | 1.0000▲ [1.000, 1.000] |" in markdown
    assert "▲ better, ▼ worse than the first, p < .05" in markdown
    assert "p50" not in markdown  # nothing was timed
    latex = (study / "out" / "table.tex").read_text()
    assert "ours & \\textbf{1.0000}$^{\\dagger}$ & \\textbf{1.0000}$^{\\dagger}$ \\\\" in latex
    page = (study / "out" / "table.html").read_text()
    data = json.loads(re.search(r'application/json">(.*?)</script>', page)[1])
    assert [measure["measure"] for measure in data["intervals"]] == ["MRR@10", "P@1"]
    assert [row["value"] for row in data["intervals"][0]["rows"]] == [0.5, 1.0]
    explored = data["exploration"]
    assert [system["label"] for system in explored["systems"]] == ["the first", "ours"]
    assert explored["outcomes"][0][1] == [12, 0, 0]
    (group,) = explored["groups"]
    assert group["texts"]["b"] == "the second"
    assert {query["text"] for query in group["queries"]} == {f"question {n}" for n in range(12)}


def test_without_a_collection_the_page_shows_identifiers(study):
    qrels = ["--qrels", "toy/qrels/test.tsv"]
    evaluate_run_files(["good.trec", "bad.trec", *qrels, "--measures", "RR", "--output", "out"])
    page = (study / "out" / "table.html").read_text()
    data = json.loads(re.search(r'application/json">(.*?)</script>', page)[1])
    (group,) = data["exploration"]["groups"]
    assert {query["text"] for query in group["queries"]} == {None}
    assert group["queries"][0]["relevant"] == ["a", "b"]


@pytest.mark.usefixtures("study")
def test_a_collection_has_the_judgments_and_what_is_excluded(caplog):
    given = ["--qrels", "toy/qrels/test.tsv"]
    with caplog.at_level(logging.INFO, "recross"):
        of_collection = evaluate_run_files(["bad.trec", *COLLECTION])
    assert "bad.trec: 1 documents left out that are excluded" in caplog.text
    assert of_collection == evaluate_run_files(["bad.trec", *given])
    with pytest.raises(InputError, match="--qrels or --collection must be given, got neither"):
        evaluate_run_files(["bad.trec"])


@pytest.mark.parametrize(
    "runs, reason",
    [
        (["a=bad.trec", "a=good.trec"], "a name of its own, got 'a' twice"),
        (["a=bad.trec", "bad.trec"], "each run file once, got 'bad.trec' twice"),
    ],
)
@pytest.mark.usefixtures("study")
def test_a_name_or_a_file_that_is_there_twice_is_refused(runs, reason):
    with pytest.raises(InputError, match=reason):
        evaluate_run_files([*runs, *COLLECTION])


def test_a_file_with_an_equal_sign_in_its_name_is_that_file(study):
    (study / "bad.trec").rename(study / "k1=0.9.trec")
    assert "| k1=0.9.trec |" in evaluate_run_files(["k1=0.9.trec", *COLLECTION])
