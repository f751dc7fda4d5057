"""What a table shows, in one sentence."""

from __future__ import annotations

from collections.abc import Sequence

from recross.report.tables.front import find_front, find_milliseconds
from recross.report.tables.rows import Row
from recross.writing.numbers import relate_p_value

MOST_NAMED = 3
"""Of the rows on the front; more are counted, and drawn."""


def compose_finding(rows: Sequence[Row]) -> str:
    """Which row is best in the first measure, by how much, and which rows are worth their time.

    Of rows over several collections the means are told where there are any.
    """
    means = [row for row in rows if row.measures and row.collections]
    told = means or [row for row in rows if row.measures]
    if not told:
        return "Nothing was measured."
    name = next(iter(told[0].measures))
    told = [row for row in told if name in row.measures]
    best = max(told, key=lambda row: row.measures[name].mean)
    value = best.measures[name]
    on = f" (on {best.collection})" if len({row.collection for row in told}) > 1 else ""
    return (
        f"{best.label} is best in {name}: {value.mean:.4f} [{value.low:.3f}, {value.high:.3f}]{on}"
        f"{_say_gain(best, name)}{_say_front(told)}."
    )


def _say_gain(best: Row, name: str) -> str:
    against = best.against or "its own first stage"
    if name not in best.differences:
        return ", and no other is better" if best.against else ", which re-ranks nothing"
    gain = f", {best.differences[name]:+.4f} from {against}"
    if name not in best.p_values:
        return gain
    return f"{gain} (p {relate_p_value(best.p_values[name])})"


def _say_front(rows: Sequence[Row]) -> str:
    timed = sum(bool(find_milliseconds(row)) for row in rows)
    front = [rows[number].label for number in find_front(rows)]
    if timed < 2:
        return ""
    verb = "are" if len(front) > 1 else "is"
    named = f": {'; '.join(front)}" if len(front) <= MOST_NAMED else ""
    return f"; of {timed} timed rows {len(front)} {verb} on the Pareto front{named}"
