import pytest

from recross.errors import InputError
from recross.records import Cost, TrainingGroup, relevant_documents


def test_costs_of_stages_add_up():
    total = Cost(pairs=2, forward_seconds=0.5) + Cost(pairs=3, cut_tokens=7)
    assert (total.pairs, total.forward_seconds, total.cut_tokens) == (5, 0.5, 7)


def test_a_group_has_one_label_per_document():
    with pytest.raises(InputError, match=r"labels must hold one value per document \(2\), got 1"):
        TrainingGroup("q1", ("d1", "d2"), (1.0,))


def test_relevance_begins_at_the_grade_asked_for():
    assert relevant_documents({"d1": 1, "d2": 2, "d3": 0}, 2) == {"d2"}
