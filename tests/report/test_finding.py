"""One sentence says what a table shows."""

from recross.evaluation.measures import Evaluation
from recross.evaluation.ties import TieRanges
from recross.report.finding import compose_finding
from recross.report.tables.rows import make_rows
from recross.report.tables.run_rows import make_run_rows
from tests.small_study import record


def measured(label, mean, latency=10.0, **more):
    return {
        **record(label, {"q": mean}, {"q": 0.4}, latency=latency),
        "p_values": {"MRR@10": 0.001},
        **more,
    }


def test_the_best_row_is_told_with_its_gain_and_the_front_of_those_timed():
    rows = [measured("a", 0.6, latency=50.0), measured("b", 0.5), measured("c", 0.3, latency=90.0)]
    assert compose_finding(make_rows(rows, {})) == (
        "a is best in MRR@10: 0.6000 [0.500, 0.700], +0.2000 from its own first stage (p = .0030);"
        " of 3 timed rows 2 are on the Pareto front: b; a."
    )


def test_a_first_stage_that_nothing_beats_is_told_as_such():
    rows = [measured("first", 0.7, reranks=False), measured("b", 0.5)]
    assert compose_finding(make_rows(rows, {})) == (
        "first is best in MRR@10: 0.7000 [0.600, 0.800], which re-ranks nothing;"
        " of 2 timed rows 1 is on the Pareto front: first."
    )


def test_runs_alone_are_told_against_the_first():
    values = {f"q{number}": 0.5 for number in range(20)}
    better = dict.fromkeys(values, 1.0)
    ties = {name: TieRanges(0, {}, {"RR": None}) for name in ("base", "ours")}
    evaluations = {"base": Evaluation({"RR": values}), "ours": Evaluation({"RR": better})}
    assert compose_finding(make_run_rows(evaluations, ties)) == (
        "ours is best in RR: 1.0000 [1.000, 1.000], +0.5000 from base (p < .0001)."
    )
    backwards = dict(reversed(evaluations.items()))
    assert compose_finding(make_run_rows(backwards, ties)) == (
        "ours is best in RR: 1.0000 [1.000, 1.000], and no other is better."
    )


def test_nothing_is_found_where_nothing_was_measured():
    assert compose_finding([]) == "Nothing was measured."
