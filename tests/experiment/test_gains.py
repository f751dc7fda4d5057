"""What re-ranking a run file alone gained is told where its queries are judged."""

import logging

import pytest

from recross.collections.collection import Collection
from recross.experiment.gains import format_gains, measure_gains
from recross.runs import Run

QRELS = {"test": {"q1": {"d2": 1}, "q2": {"d1": 1}}, "dev": {"q9": {"d1": 1}}}
COLLECTION = Collection(
    "toy",
    {"d1": "x", "d2": "y"},
    dict.fromkeys(("q1", "q2", "q9"), "x"),
    {split: tuple(judged) for split, judged in QRELS.items()},
    QRELS,
    "toy",
)


def run(**orders):
    return Run.from_scores(
        "r", {q: {d: -float(n) for n, d in enumerate(o)} for q, o in orders.items()}
    )


def test_measures_before_and_after_are_over_all_judged_queries_of_the_split(caplog):
    before, after = run(q1=["d1", "d2"]), run(q1=["d2", "d1"])
    with caplog.at_level(logging.WARNING, "recross"):
        gains = measure_gains(before, after, COLLECTION, ["RR"])
    assert set(gains) == {"test"}  # dev has no ranked query
    found = gains["test"]["measures"]["RR"]
    assert (found["before"], found["after"], found["difference"]) == (0.25, 0.5, 0.25)
    assert (
        "1 of 2 judged queries of 'test' have no candidates and score 0, such as 'q2'"
        in caplog.text
    )


def test_a_line_says_both_means_the_difference_its_interval_and_p():
    gains = {
        "test": {
            "judged": 9,
            "measures": {
                "MRR@10": {
                    "before": 0.5,
                    "after": 0.75,
                    "difference": 0.25,
                    "interval": (0.1, 0.4),
                    "p_value": 0.00005,
                }
            },
        }
    }
    assert list(format_gains(gains)) == [
        "test, 9 judged queries: MRR@10 0.7500, before 0.5000: +0.2500 [+0.1000, +0.4000],"
        " p < .0001"
    ]
    gains["test"]["measures"]["MRR@10"]["p_value"] = 0.0312
    assert next(format_gains(gains)).endswith("p = .0312")


@pytest.mark.parametrize("split", ["dev", "test"])
def test_without_judgments_nothing_is_said(split):
    blank = Collection("toy", COLLECTION.documents, COLLECTION.queries, {split: ("q1",)}, {}, "toy")
    assert measure_gains(run(q1=["d1"]), run(q1=["d1"]), blank, ["RR"]) == {}
