"""Runs side by side: every number by hand, and the command that prints them."""

import csv

import pytest
from scipy import stats

from recross.command.cli import main
from recross.evaluation.measures import Evaluation
from recross.evaluation.significance import compute_p_value
from recross.evaluation.ties import TieRange, TieRanges
from recross.report.tables.comparison import (
    compare,
    format_comparison,
    format_ties,
    list_pairs,
    write_per_query,
)
from recross.runs import Run

VALUES = {
    "base": [0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5],
    "good": [1.0, 1.0, 0.5, 1.0, 1.0, 1.0, 0.25, 1.0],
    "odd": [0.5, 0.5, 0.5, 0.0, 0.5, 0.5, 1.0, 0.5],
}
EVALUATIONS = {
    name: Evaluation({"MRR@10": {f"q{n}": value for n, value in enumerate(values)}})
    for name, values in VALUES.items()
}


def test_the_first_run_is_the_baseline_unless_all_pairs_are_asked_for():
    assert list_pairs(["a", "b", "c"]) == [("b", "a"), ("c", "a")]
    assert list_pairs(["a", "b", "c"], all_pairs=True) == [("b", "a"), ("c", "a"), ("c", "b")]
    assert list_pairs(["a"]) == []


def test_a_comparison_counts_wins_and_averages_differences_by_hand():
    good, odd = compare(EVALUATIONS, ["MRR@10"], list_pairs(list(EVALUATIONS)))
    assert (good.run, good.against, good.measure) == ("good", "base", "MRR@10")
    assert good.outcomes == (6, 1, 1)
    assert good.difference == pytest.approx((6 * 0.5 - 0.25) / 8)
    assert good.interval[0] < good.difference < good.interval[1] <= 0.5
    assert odd.outcomes == (1, 6, 1)
    assert odd.difference == 0.0


def test_both_tests_are_corrected_over_the_comparisons_of_a_measure():
    good, odd = compare(EVALUATIONS, ["MRR@10"], list_pairs(list(EVALUATIONS)))
    student = stats.ttest_rel(VALUES["good"], VALUES["base"]).pvalue
    assert good.p_values["t"] == pytest.approx(2 * student)  # the smaller one of two
    assert odd.p_values["t"] == pytest.approx(1.0)
    raw = compute_p_value(*(EVALUATIONS[n].per_query["MRR@10"] for n in ("good", "base")))
    assert good.p_values["randomisation"] == pytest.approx(2 * raw)
    (alone,) = compare(EVALUATIONS, ["MRR@10"], [("good", "base")])
    assert alone.p_values["t"] == pytest.approx(student)


def test_a_single_run_has_means_and_no_comparison():
    text = format_comparison({"base": EVALUATIONS["base"]}, ["MRR@10"], [])
    assert "| base | 0.5000 [0.5000, 0.5000] |" in text
    assert "against" not in text


def test_the_csv_has_a_column_for_each_run_and_a_line_for_each_query(tmp_path):
    write_per_query(tmp_path / "deep" / "x.csv", EVALUATIONS, ["MRR@10"], {})
    lines = list(csv.DictReader((tmp_path / "deep" / "x.csv").read_text().splitlines()))
    assert len(lines) == 8
    assert lines[6] == {
        **{"measure": "MRR@10", "query_id": "q6"},
        **{"base": "0.5", "good": "0.25", "odd": "1.0"},
    }


def test_the_command_prints_means_and_pairs_and_writes_the_queries(tmp_path, capsys):
    queries = [f"q{n}" for n in range(12)]
    (tmp_path / "test.qrels").write_text("".join(f"{q} 0 a 1\n" for q in queries))
    names = []
    for name, score in (("bad", 0.0), ("good", 2.0)):
        run = Run.from_scores(name, {q: {"a": score, "b": 1.0} for q in queries})
        run.write(tmp_path / f"{name}.trec")
        names.append(str(tmp_path / f"{name}.trec"))
    words = ["evaluate", *names, "--qrels", str(tmp_path / "test.qrels"), "--measures", "MRR@10"]
    assert main([*words, "--per-query", str(tmp_path / "x.csv")]) == 0
    lines = capsys.readouterr().out.splitlines()
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if "|" in line]
    assert [names[0], "0.5000 [0.5000, 0.5000]"] in cells
    compared = next(row for row in cells if row[0] == "MRR@10")
    assert compared[:7] == [
        *("MRR@10", names[1], names[0], "+0.5000 [+0.5000, +0.5000]"),
        *("12", "0", "0"),
    ]
    assert float(compared[7]) < 0.001
    assert compared[8] == "< .0001"
    assert (tmp_path / "x.csv").read_text().splitlines()[3] == "MRR@10,q2,0.5,1.0"


def test_ties_of_many_measures_fit_a_terminal_and_leave_out_runs_without():
    found = TieRange(0.25, 0.75, 0.5)
    names = [f"{name}@{depth}" for name in ("nDCG", "MRR", "Success") for depth in (10, 100, 1000)]
    ties = {
        "a run with a name of 30 letters": TieRanges(9, {}, dict.fromkeys(names, found)),
        "untied": TieRanges(0, {}, dict.fromkeys(names, found)),
    }
    text = format_ties(ties, names)
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len(table) == 2 + len(names)
    assert max(map(len, table)) <= 100
    assert "untied" not in text


def test_the_command_says_what_ties_leave_open_on_average_and_query_by_query(tmp_path, capsys):
    (tmp_path / "test.qrels").write_text("q1 0 a 1\nq2 0 a 1\n")
    run = Run.from_scores("toy", {"q1": {"a": 1.0, "b": 1.0}, "q2": {"a": 2.0, "b": 1.0}})
    name = str(tmp_path / "toy.trec")
    run.write(name)
    words = ["evaluate", name, "--qrels", str(tmp_path / "test.qrels")]
    words += ["--measures", "MRR@10", "Bpref", "infAP", "--per-query", str(tmp_path / "x.csv")]
    assert main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if "|" in line]
    assert ["MRR@10", name, "1", "0.7500", "1.0000", "0.8750"] in cells
    assert ["Bpref", name, "1", "1.0000", "1.0000", "1.0000"] in cells
    assert ["infAP", name, "1", "–", "–", "–"] in cells
    queries = list(csv.DictReader((tmp_path / "x.csv").read_text().splitlines()))
    more = [f"{name} {field}" for field in ("least", "greatest", "expected")]
    assert [queries[0][field] for field in more] == ["0.5", "1.0", "0.75"]
    assert [queries[1][field] for field in more] == [""] * 3
