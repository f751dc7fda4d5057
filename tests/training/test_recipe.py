"""When a fine-tuning validates."""

import pytest

from recross.training.recipe import FineTuning, RangeSearch


@pytest.mark.parametrize(
    "steps, validations, after",
    [
        (8, 2, [4, 8]),
        (10, 4, [3, 5, 8, 10]),
        (7, 3, [3, 5, 7]),
        (5, 1, [5]),
        (3, 4, [1, 2, 3]),  # no more than one after each step
    ],
)
def test_validations_are_spread_over_the_steps_and_the_last_one_comes_last(
    steps, validations, after
):
    training = FineTuning(steps=steps, validations=validations)
    assert [step for step in range(1, steps + 1) if training.validates_after(step)] == after


def test_a_range_search_validates_nothing():
    search = RangeSearch(steps=3, validations=3)
    assert not any(search.validates_after(step) for step in (1, 2, 3))
