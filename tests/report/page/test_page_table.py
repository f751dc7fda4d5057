"""Cells of the page: their marks apart, their best in bold, their points below each other."""

import pytest

from recross.report.page.page_table import align_points, make_page_table
from recross.report.tables.rows import make_rows
from recross.report.tables.table import comma_separated
from tests.small_study import record


def measured(label, mean, p):
    return {**record(label, {"q": mean}, {"q": 0.4}), "p_values": {"MRR@10": p}}


ROWS = make_rows([measured("a.size=8", 0.6, 0.001), measured("b.size=8", 0.3, 0.001)], {})


def test_points_of_a_column_lie_below_each_other():
    aligned = align_points(["0.654", "13", "1,930", "2.5", "–"])
    digit, point = "\u2007", "\u2008"
    blank = point + 3 * digit
    assert aligned == ["0.654", "13" + blank, "1,930" + blank, "2.5" + 2 * digit, "–"]
    assert align_points(["12", "2,000"]) == ["12", "2,000"]


def test_a_measures_marks_and_its_interval_stand_apart_and_the_best_is_told():
    table = make_page_table(ROWS)
    names = [column["name"] for column in table["columns"]]
    assert names[:3] == ["model", "MRR@10", "significance of MRR@10"]
    first, second = table["rows"]
    assert first[1] == ["0.6000", 0.6, {"detail": "[0.500, 0.700]", "best": True}]
    assert second[1][2]["best"] is False
    assert [row[2][:2] for row in table["rows"]] == [["▲", 1], ["▼", -1]]
    assert first[2][2] == {"title": "+0.2000 from its own first stage, p = .0020"}


def test_without_a_significant_difference_there_is_no_column_of_marks():
    columns = make_page_table(make_rows([measured("a", 0.6, 0.5)], {}))["columns"]
    assert not any(column.get("mark") for column in columns)


def test_a_row_is_shown_by_its_short_label_and_known_by_its_whole_one():
    assert [row[0] for row in make_page_table(ROWS)["rows"]] == [
        ["a", "a.size=8"],
        ["b", "b.size=8"],
    ]


@pytest.mark.parametrize("name", ["table.csv", "table.tex"])
def test_the_page_has_the_table_in_other_formats(name):
    files = {file["name"]: file["text"] for file in make_page_table(ROWS)["files"]}
    assert files["table.csv"] == comma_separated(ROWS)
    assert "MRR@10" in files[name]
