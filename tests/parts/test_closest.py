"""What was probably meant, by hand."""

import pytest

from recross.parts.closest import find_closest, say_unknown, suggest

RERANKERS = ["minilm_l2", "minilm_l6", "minilm_l12", "monot5_base", "setwise_llm", "none"]


@pytest.mark.parametrize(
    "asked, first",
    [
        ("minilm6", "minilm_l6"),
        ("MiniLM-L6", "minilm_l6"),
        ("monot5-bse", "monot5_base"),
        ("setwise", "setwise_llm"),
        ("non", "none"),
    ],
)
def test_the_name_most_like_it_comes_first(asked, first):
    assert find_closest(asked, RERANKERS)[0] == first


def test_what_is_clearly_worse_than_the_best_is_not_named():
    assert find_closest("rerankr", ["reranker", "reranker.layers", "retriever"]) == ["reranker"]


def test_nothing_is_suggested_where_nothing_is_like_it():
    assert suggest("zz", RERANKERS) == ""
    assert say_unknown("fruit", "zz", ["apple", "pear"]) == (
        "fruit must be one of apple, pear, got 'zz'"
    )


def test_suggestions_are_said_as_a_question():
    assert suggest("trian", ["train", "run"]) == "; did you mean train?"
    assert suggest("ab", ["abc", "abd"]) == "; did you mean abc or abd?"
