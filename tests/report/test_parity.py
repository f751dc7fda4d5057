"""What is met, missed and not comparable; the gate as a user types it."""

import pytest

from recross.command.cli import main
from recross.errors import InputError
from recross.report.parity import format_parity, judge
from recross.report.references import ReferenceValue, read_values
from recross.store import write_json
from tests.report.test_tables import HEADER, result

TOP = "BM25 k1=0.9 b=0.4 top 10"
DENSE = "BiEncoder some/model top 10"


def finished(label, mrr, candidates=TOP, **more):
    found = result(label, mrr, **more)
    return {**found, "candidates": candidates if found["reranks"] else "full collection"}


def value(label, number, measure="MRR@10", tolerance=0.01, candidates=TOP, kind="published"):
    return ReferenceValue("s", label, kind, measure, number, tolerance, candidates, "a paper")


RECORDS = [
    finished("big", 0.55, p=0.01, weight=0.6, parameters=22_000_000),
    finished("dense", 0.5, p=0.2, candidates=DENSE),
    finished("first", 0.4),
]


def verdicts(*values):
    return [one.verdict for one in judge(RECORDS, values)]


def test_a_value_is_met_up_to_its_tolerance():
    assert verdicts(value("big", 0.56), value("big", 0.54)) == ["met", "met"]
    assert verdicts(value("big", 0.5602), value("big", 0.5398)) == ["missed", "missed"]


def test_a_row_or_a_measure_that_is_not_there_is_missed():
    found = judge(RECORDS, [value("small", 0.5), value("big", 0.5, measure="nDCG@10")])
    assert [one.verdict for one in found] == ["missed", "missed"]
    assert str(found[0]) == "s: small: MRR@10 was not measured, published 0.5"


def test_values_over_other_candidates_are_not_compared_even_where_they_agree():
    (found,) = judge(RECORDS, [value("dense", 0.5)])
    assert found.verdict == "not comparable"
    assert (
        str(found) == f"s: dense: MRR@10 is over BiEncoder some/model top 10, published over {TOP}"
    )
    assert verdicts(value("dense", 0.9, candidates="biencoder  some/model top 10")) == ["missed"]


def test_latency_size_and_interpolated_rows_have_values_too():
    asked = [
        value("big", 2500, measure="latency_ms_per_100", tolerance=100),
        value("big", 88, measure="size_mb", tolerance=0),
        value("big, interpolated", 0.55),
        value("first", 12, measure="latency_ms_per_100", candidates="full collection"),
    ]
    assert verdicts(*asked) == ["met"] * 4


def test_given_values_are_never_checked_and_seeds_are_averaged():
    assert verdicts(value("big", 0.9, kind="given")) == []
    seeds = [finished("big", mrr, p=0.1, seed=seed) for seed, mrr in enumerate((0.4, 0.6))]
    (found,) = judge(seeds, [value("big", 0.5, tolerance=0)])
    assert found.verdict == "met"


def test_studies_do_not_answer_for_one_another():
    other = [{**record, "study": "t"} for record in RECORDS]
    (found,) = judge(other, [value("big", 0.55)])
    assert found.verdict == "missed"


def test_the_table_prints_both_values_and_both_sets():
    text = format_parity(judge(RECORDS, [value("big", 0.5), value("dense", 0.5)]))
    missed, incomparable = [[c.strip() for c in li.split("|")] for li in text.splitlines()[2:]]
    assert missed[1:-1] == ["big", "MRR@10", TOP, "0.5500", "0.5000", "+0.0500", "0.01", "missed"]
    assert incomparable[3] == f"BiEncoder some/model top 10; reference: {TOP}"


def test_a_wrong_line_is_named_with_its_rule(tmp_path):
    path = tmp_path / "reference.csv"
    for line, rule in (
        ("s,big,published,MRR@10,much,.1,x,", "value must be a finite number, got 'much'"),
        ("s,big,rumoured,MRR@10,.5,.1,x,", "kind must be given, published or measured"),
        ("s,big,published,MRR@10,.5,,x,", "tolerance of a published value must be at least 0"),
        ("s,big,measured,MRR@10,.5,.1,,", "candidates of a measured value must be named"),
    ):
        path.write_text(f"{HEADER}{line}\n")
        with pytest.raises(InputError, match=rf"reference.csv:2: {rule}"):
            read_values([path])


@pytest.fixture
def study(tmp_path):
    for record in RECORDS:
        write_json(tmp_path / "s" / record["label"] / "seed=0" / "result.json", record)
    return tmp_path / "s"


def test_what_was_written_as_reference_is_met_and_an_edited_value_is_named(
    study, tmp_path, capsys, caplog
):
    path = tmp_path / "reference.csv"
    path.write_text(f"{HEADER}t,x,published,MRR@10,.5,.1,x,a paper\ns,old,measured,MRR@10,1,1,x,\n")
    words = ["table", str(study), "--reference", str(path)]
    assert main([*words, "--write-reference", "--tolerance", "0.005"]) == 0
    written = read_values([path])
    assert [one.label for one in written if one.study == "t"] == ["x"]  # others' values stay
    assert "old" not in {one.label for one in written}
    assert "latency_ms_per_100" not in {one.measure for one in written}
    assert main([*words, "--check"]) == 0
    assert caplog.messages[-1] == "5 met of 5 reference values"
    capsys.readouterr()
    text = path.read_text()
    path.write_text(text.replace("s,big,measured,MRR@10,0.55,", "s,big,measured,MRR@10,0.56,"))
    assert main([*words, "--check"]) == 1
    assert "missed: s: big: MRR@10 0.5500, measured 0.5600, differs by -0.0100" in caplog.text
    assert capsys.readouterr().out.count(" missed |") == 1


def test_a_study_of_which_nothing_can_be_compared_does_not_pass(study, tmp_path, caplog):
    path = tmp_path / "reference.csv"
    words = ["table", str(study), "--check", "--reference", str(path)]
    path.write_text(f"{HEADER}s,dense,published,MRR@10,.5,.1,other,\n")
    assert main(words) == 1
    assert "no value of s is met" in caplog.text
    path.write_text(f"{HEADER}s,dense,given,MRR@10,.5,,,\n")
    assert main(words) == 1
    assert "no reference values for s: nothing was checked" in caplog.text
