"""The table of a paper, as LaTeX sets it."""

import pytest

from recross.report.tables.latex import LatexStyle, format_latex
from recross.report.tables.rows import make_rows
from tests.small_study import record


def measured(label, mean, p=0.5, first=0.4, **more):
    return {
        **record(label, {"q": mean}, {"q": first}),
        "p_values": {"MRR@10": p},
        **more,
    }


def lines_of(rows, style=LatexStyle()):
    text = format_latex(rows, style)
    body = text.partition("\\midrule\n")[2].partition("\\bottomrule")[0]
    return {line.split(" & ")[0]: line.split(" & ")[1] for line in body.splitlines()}


ROWS = make_rows(
    [
        measured("first", 0.4, reranks=False),
        measured("worse", 0.3, p=0.001),
        measured("better", 0.6, p=0.001),
        measured("alike", 0.5, p=0.4),
    ],
    {},
)


def test_the_best_is_bold_the_second_underlined_and_daggers_tell_better_and_worse():
    assert lines_of(ROWS) == {
        "first": "0.4000",
        "worse": "0.3000$^{\\ddagger}$",
        "better": "\\textbf{0.6000}$^{\\dagger}$",
        "alike": "\\underline{0.5000}",
    }


def test_rows_that_print_the_same_share_a_place():
    means = {"a": 0.5, "b": 0.50001, "c": 0.4}
    shared = make_rows([measured(name, mean) for name, mean in means.items()], {})
    assert lines_of(shared) == {
        "a": "\\textbf{0.5000}",
        "b": "\\textbf{0.5000}",
        "c": "\\underline{0.4000}",
    }


def test_the_best_is_that_of_each_collection():
    apart = [
        measured(f"{name} on {where}", mean, collection_name=where)
        for where, means in (("x", (0.1, 0.2)), ("y", (0.8, 0.9)))
        for name, mean in zip("ab", means, strict=True)
    ]
    found = lines_of(make_rows(apart, {}))
    assert [label for label, cell in found.items() if "textbf" in cell] == ["b on x", "b on y"]


def test_a_float_of_booktabs_has_a_caption_and_a_label():
    text = format_latex(make_rows([measured("50 % of a_b & c", 0.4)], {}))
    for part in (
        "\\begin{table}[t]",
        "\\toprule",
        "\\midrule\n50 \\% of a\\_b \\& c & ",
        "\\end{table}",
    ):
        assert part in text
    assert "\\caption{MRR@10 on files of mine. Latency is in" in text
    assert "\\label{tab:small}" in text
    assert text.count("{") == text.count("}")
    own = format_latex(ROWS, LatexStyle(caption="Ours \\emph{best}.", label="tab:ours"))
    assert "\\caption{Ours \\emph{best}.}\n\\label{tab:ours}" in own


def test_the_caption_says_what_the_marks_mean_and_what_all_rows_share():
    text = format_latex(ROWS)
    assert "Best in bold, second underlined." in text
    assert (
        "$^{\\dagger}$: better, $^{\\ddagger}$: worse than its own first stage ($p < .05$" in text
    )
    varied = [measured(f"bm25.{name}.size=8", mean) for name, mean in (("l2", 0.4), ("l4", 0.5))]
    short = format_latex(make_rows(varied, {}))
    assert "All rows with size=8." in short
    assert "\nbm25.l2 & " in short


@pytest.mark.parametrize("intervals", [True, False])
def test_intervals_are_shown_where_they_are_asked_for(intervals):
    cell = lines_of(ROWS, LatexStyle(intervals=intervals))["first"]
    assert cell == "0.4000" + " {\\scriptsize [0.300, 0.500]}" * intervals


def test_every_measure_has_marks_of_its_own_corrected_over_its_rows():
    two = [
        {
            **measured(name, 0.5, p=0.001),
            "measures": {"MRR@10": 0.5, "AP": 0.2},
            "first_stage_measures": {"MRR@10": 0.4, "AP": 0.3},
            "intervals": {"MRR@10": [0.4, 0.6], "AP": [0.1, 0.3]},
            "p_values": {"MRR@10": 0.001, "AP": p},
        }
        for name, p in (("a", 0.02), ("b", 0.5))
    ]
    by_label = {row.label: row for row in make_rows(two, {})}
    assert by_label["a"].p_values == pytest.approx({"MRR@10": 0.002, "AP": 0.04})
    assert [by_label["a"].mark_of(name) for name in ("MRR@10", "AP")] == ["▲", "▼"]
    assert by_label["b"].mark_of("AP") == ""
