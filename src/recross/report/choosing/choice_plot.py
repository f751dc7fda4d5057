"""Quality against the time of a query, with the front of what nothing else beats."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from recross.report.choosing.choices import ChoiceRow, ChoiceStudy
from recross.report.figures import (
    COLOURS,
    SHAPES,
    fold_label,
    measure_height,
    name_lines,
    open_figure,
    place_whole_numbers,
    save_figure,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

    Shown = list[tuple[str, Line2D]]
"""What is drawn, with its name."""


def plot_choices(study: ChoiceStudy, folder: Path) -> list[Path]:
    """Draw ``choices.png`` and ``.svg``: a line for each re-ranker and hardware over its depths."""
    names = list(dict.fromkeys(row.name for row in study.rows if row.depth))
    labels = [fold_label(name) for name in names]
    with open_figure(measure_height(labels) + 0.6) as figure:
        axes = figure.subplots()
        shown: Shown = []
        for number, (name, label) in enumerate(zip(names, labels, strict=True)):
            rows = [row for row in study.rows if row.name == name]
            shown.append((label, _draw_choice(axes, rows, number)))
        shown += _draw_front(axes, study)
        place_whole_numbers(axes)
        axes.set_xlabel("ms in which 95 of 100 queries are done\n(numbers: candidates re-ranked)")
        axes.set_ylabel(study.rows[0].measure)
        name_lines(figure, axes, shown)
        return save_figure(figure, folder, "choices")


def _draw_choice(axes: Axes, rows: Sequence[ChoiceRow], number: int) -> Line2D:
    by_depth = sorted(rows, key=lambda row: row.depth)
    times, means = [row.p95_ms for row in by_depth], [row.quality for row in by_depth]
    colour, shape = COLOURS[number % len(COLOURS)], SHAPES[number % len(SHAPES)]
    (line,) = axes.plot(times, means, marker=shape, color=colour)
    away, side = ((5, -4), "left") if number % 2 else ((-5, 4), "right")  # neighbours keep apart
    for row in by_depth:
        place = (row.p95_ms, row.quality)
        said = axes.annotate(str(row.depth), place, away, textcoords="offset points")
        said.set(size=6.5, color=colour, horizontalalignment=side, verticalalignment="center")
    return line


def _draw_front(axes: Axes, study: ChoiceStudy) -> Shown:
    front = [row for row in study.rows if row.is_on_front]
    least = min((row.p95_ms for row in study.rows if row.depth), default=1.0) / 2  # no zero there
    times = [max(row.p95_ms, least) for row in front]
    (alone,) = axes.plot(
        times[:1], [front[0].quality], marker="s", color=COLOURS[-1], linestyle="none"
    )
    (stair,) = axes.step(
        [*times, max(row.p95_ms for row in study.rows)],
        [*(row.quality for row in front), front[-1].quality],
        where="post",
        color="#8A8A8A",
        linewidth=0.8,
        linestyle="--",
        zorder=1,
    )
    best = study.advised
    (advised,) = axes.plot(
        [max(best.p95_ms, least)],
        [best.quality],
        marker="o",
        markersize=9,
        markerfacecolor="none",
        color="black",
        linestyle="none",
    )
    shown = [
        ("candidates as they are, which take no time", alone),
        ("Pareto front: none is faster and better", stair),
        ("advised", advised),
    ]
    if study.within_ms is not None:
        limit = axes.axvline(study.within_ms, color="black", linestyle=":", linewidth=0.8)
        shown.append((f"{study.within_ms:,g} ms, the most that a query may take", limit))
    return shown
