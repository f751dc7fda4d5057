import pytest

from recross.writing.numbers import format_p_value


@pytest.mark.parametrize(
    "p_value, shown",
    [
        (0.00009, "< .0001"),
        (0.0, "< .0001"),
        (0.0001, ".0001"),
        (0.03124, ".0312"),
        (1.0, "1.0000"),
    ],
)
def test_a_p_value_has_no_zero_before_its_point_and_a_least_one(p_value, shown):
    assert format_p_value(p_value) == shown
