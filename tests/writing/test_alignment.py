"""Markdown tables whose columns line up, and that say nothing but what their cells say."""

from recross.writing.alignment import Marked, align_table


def test_columns_line_up_and_commands_of_markdown_are_escaped():
    assert align_table(["run", "MRR"], [["a|b", "0.5"], ["c", "0.25"]]) == [
        "| run  |  MRR |",
        "|------|-----:|",
        "| a\\|b |  0.5 |",
        "| c    | 0.25 |",
    ]


def test_a_cell_that_is_markdown_stays_as_it_is():
    assert align_table(["id"], [[Marked("`a`<br>`b`")], ["`a`"]], words=1)[2:] == [
        "| `a`<br>`b` |",
        "| \\`a\\`      |",
    ]


def test_a_cell_beyond_the_widest_makes_no_other_line_longer():
    assert align_table(["id", "n"], [["a" * 9, "1"], ["b", "2"]], widest=4) == [
        "| id   | n |",
        "|------|--:|",
        "| aaaaaaaaa | 1 |",
        "| b    | 2 |",
    ]
