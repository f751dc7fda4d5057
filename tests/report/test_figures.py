"""What a figure shows of a label."""

import pytest

from recross.report.figures import LONGEST_LABEL, cut_label, fold_label, measure_height


def test_a_label_that_fits_stays_as_it_is():
    assert fold_label("x" * LONGEST_LABEL) == "x" * LONGEST_LABEL
    assert cut_label("x" * 5, 5) == "x" * 5


@pytest.mark.parametrize("label", ["word " * 20, "x" * 90, "x" * 59 + " and more"])
def test_a_longer_label_is_shown_whole_on_two_lines(label):
    lines = fold_label(label).split("\n")
    assert len(lines) == 2
    assert max(map(len, lines)) <= LONGEST_LABEL
    assert "".join(lines).replace(" ", "") == label.replace(" ", "")


def test_what_two_lines_do_not_hold_is_cut():
    first, second = fold_label("x" * 500).split("\n")
    assert (len(first), len(second), second[-1]) == (LONGEST_LABEL, LONGEST_LABEL, "…")


def test_a_figure_is_as_much_higher_as_its_legend_has_lines():
    two_lines = measure_height(["a\nb"]) - measure_height([])
    assert two_lines == pytest.approx(2 * (measure_height(["a"]) - measure_height([])))
