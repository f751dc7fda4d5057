"""Cells of CSV files are read as they stand there."""

import pytest

from recross.report.references import ReferenceValue, read_values, write_measured
from recross.text_files.csv_lines import read_csv_lines

CELLS = ["a\r\nb", "a\nb", "\r\n", "a\r\n\r\nb\n", "ü\r\n\u2028", 'quoted ""\r\n"', "a\rb", "plain"]


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_line_break_within_a_cell_is_the_one_that_stands_there(tmp_path, cell, end):
    quoted = cell.replace('"', '""')
    path = tmp_path / "a.csv"
    path.write_bytes(f'\ufeffx,y{end}"{quoted}",2{end}3,"{quoted}"'.encode())
    found = [dict(line) for _, line in read_csv_lines(path, ["x", "y"], "file")]
    assert found == [{"x": cell, "y": "2"}, {"x": "3", "y": cell}]


@pytest.mark.parametrize("cell", CELLS)
def test_a_reference_value_is_read_as_it_was_written(tmp_path, cell):
    value = ReferenceValue("s", "label", "measured", "MRR@10", 0.5, 0.1, "c", source=cell)
    write_measured(tmp_path / "reference.csv", [value])
    assert read_values([tmp_path / "reference.csv"]) == [value]
