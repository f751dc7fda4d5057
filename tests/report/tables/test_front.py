"""Which rows a reader chooses among."""

from recross.report.tables.front import find_front
from recross.report.tables.rows import make_rows
from tests.small_study import record


def front_of(**points):
    """Labels on the front of points of milliseconds and quality."""
    records = [
        record(label, {"q": mean}, {"q": 0.1}, latency=milliseconds)
        for label, (milliseconds, mean) in points.items()
    ]
    rows = make_rows(records, {})
    return [rows[number].label for number in find_front(rows)]


def test_a_row_is_on_the_front_where_none_is_both_faster_and_better():
    found = front_of(fast=(1.0, 0.3), slow=(9.0, 0.5), beaten=(5.0, 0.2), middle=(4.0, 0.4))
    assert found == ["fast", "middle", "slow"]


def test_what_is_as_good_and_slower_or_as_fast_and_worse_is_not_on_the_front():
    assert front_of(one=(1.0, 0.5), slower=(2.0, 0.5), worse=(1.0, 0.4)) == ["one"]
