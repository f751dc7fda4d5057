"""Quality against latency, depth, training and budget, and of runs, for a column of a paper."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recross.report.figures import (
    COLOURS,
    SHAPES,
    cut_label,
    fold_label,
    measure_height,
    name_lines,
    open_figure,
    place_whole_numbers,
    save_figure,
)
from recross.report.tables.front import find_front, find_milliseconds
from recross.report.tables.rows import INTERPOLATED, Row
from recross.report.tables.short_labels import shorten_labels
from recross.writing.escaping import show_unprintable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

LONGEST_BESIDE = 34
"""Of a label beside a plot."""
FRONT_LABEL = "Pareto front: none is faster and better"


@dataclass(frozen=True)
class Axis:
    """What the points of a curve may differ in: its name on the plot, and in the file's name."""

    file: str
    label: str
    read: Callable[[Row], float | None]

    def place(self, rows: Sequence[Row]) -> Mapping[float, Row]:
        """Where along the axis each row of a curve stands."""
        return dict(sorted({self.read(row) or 0.0: row for row in rows}.items()))


AXES = (
    Axis("quality_budget", "milliseconds that a query may take", attrgetter("budget_ms")),
    Axis("quality_training", "training pairs", attrgetter("training_pairs")),
    Axis("quality_depth", "candidates re-ranked", attrgetter("depth")),
)


def plot_quality_latency(rows: Sequence[Row], folder: Path) -> list[Path]:
    """Draw the first measure against p50 latency as ``quality_latency.png`` and ``.svg``.

    Rows without a latency are left out; without any such row nothing is drawn. A line joins the
    rows than which none is both faster and better.
    """
    drawn = [row for row in rows if row.measures and find_milliseconds(row)]
    if not drawn:
        return []
    short = shorten_labels([row.label for row in drawn]).names
    labels = [
        f"{fold_label(label)} {row.mark}".rstrip() for label, row in zip(short, drawn, strict=True)
    ]
    with open_figure(measure_height(labels)) as figure:
        axes = figure.subplots()
        name = next(iter(drawn[0].measures))
        models = list(dict.fromkeys(_model(row) for row in drawn))
        points = [_draw_point(axes, row, name, models.index(_model(row))) for row in drawn]
        shown = [*zip(labels, points, strict=True), *_draw_front(axes, drawn, name)]
        place_whole_numbers(axes)
        axes.set_xlabel("p50 latency per 100 documents, ms")
        axes.set_ylabel(f"{name}, 95 % interval")
        name_lines(figure, axes, shown)
        return save_figure(figure, folder, "quality_latency")


def plot_curves(rows: Sequence[Row], folder: Path) -> list[Path]:
    """Draw the first measure of rows that are points of curves, against what they differ in.

    That is the first of ``AXES`` in which the rows of a curve differ, which names the file, too. A
    curve of one point is a line across, such as a first stage; without a curve of more nothing is
    drawn.
    """
    curves: dict[str, list[Row]] = {}
    for row in rows:
        if row.curve is not None and row.measures:
            curves.setdefault(row.curve, []).append(row)
    for axis in AXES:
        drawn = {name: axis.place(points) for name, points in curves.items()}
        if any(len(points) > 1 for points in drawn.values()):
            break
    else:
        return []
    with open_figure(measure_height([fold_label(name) for name in drawn])) as figure:
        axes = figure.subplots()
        shown = _draw_curves(axes, drawn)
        axes.set_xlabel(axis.label)
        axes.set_ylabel(f"{next(iter(next(iter(curves.values()))[0].measures))}, 95 % interval")
        name_lines(figure, axes, shown)
        return save_figure(figure, folder, axis.file)


def plot_measures(rows: Sequence[Row], folder: Path) -> list[Path]:
    """Draw every measure of each row with its interval as ``measures.png`` and ``.svg``."""
    names = list(dict.fromkeys(name for row in rows for name in row.measures))
    labels = shorten_labels([row.label for row in rows]).names
    with open_figure(0.5 + 0.2 * len(rows) * len(names) + 0.3 * len(names)) as figure:
        for axes, name in zip(figure.subplots(len(names), squeeze=False).flat, names, strict=True):
            for place, row in enumerate(rows):
                value = row.measures[name]
                error = [[value.mean - value.low], [value.high - value.mean]]
                axes.errorbar(value.mean, place, xerr=error, fmt="o", capsize=2, color=COLOURS[0])
            marked = [
                f"{cut_label(show_unprintable(label), LONGEST_BESIDE)} {row.mark_of(name)}".rstrip()
                for label, row in zip(labels, rows, strict=True)
            ]
            axes.set_yticks(range(len(rows)), marked, parse_math=False)
            axes.set_ylim(len(rows) - 0.5, -0.5)
            axes.set_xlabel(f"{name}, 95 % interval")
            axes.locator_params(axis="x", nbins=5)
            axes.grid(alpha=0.3, axis="x")
        return save_figure(figure, folder, "measures")


def _draw_point(axes: Axes, row: Row, name: str, model: int) -> Line2D:
    value, colour = row.measures[name], COLOURS[model % len(COLOURS)]
    line: Line2D = axes.errorbar(
        find_milliseconds(row) or 0.0,
        value.mean,
        yerr=[[value.mean - value.low], [value.high - value.mean]],
        fmt="s" if row.difference is None else SHAPES[model % len(SHAPES)],
        capsize=2,
        elinewidth=0.6,
        color=colour,
        markerfacecolor="white" if _model(row) != row.label else colour,
    ).lines[0]
    return line


def _draw_front(axes: Axes, rows: Sequence[Row], name: str) -> list[tuple[str, Line2D]]:
    """A stair through the rows that none is faster and better than, if there are several."""
    front = [rows[number] for number in find_front(rows)]
    if len(front) < 2:
        return []
    times = [find_milliseconds(row) or 0.0 for row in front]
    means = [row.measures[name].mean for row in front]
    look: dict[str, Any] = {"color": "#8A8A8A", "linewidth": 0.8, "linestyle": "--", "zorder": 1}
    (line,) = axes.step(times, means, where="post", **look)
    return [(FRONT_LABEL, line)]


def _draw_curves(axes: Axes, curves: Mapping[str, Mapping[float, Row]]) -> list[tuple[str, Line2D]]:
    shown: list[tuple[str, Line2D]] = []
    for number, (label, points) in enumerate(curves.items()):
        values = [next(iter(row.measures.values())) for row in points.values()]
        means, colour = [value.mean for value in values], COLOURS[number % len(COLOURS)]
        if len(points) == 1:
            shown.append((fold_label(label), axes.axhline(means[0], color=colour, linestyle="--")))
            continue
        shape = SHAPES[number % len(SHAPES)]
        (line,) = axes.plot(list(points), means, marker=shape, color=colour)
        shown.append((fold_label(label), line))
        lows, highs = [value.low for value in values], [value.high for value in values]
        axes.fill_between(list(points), lows, highs, color=colour, alpha=0.12, linewidth=0)
    ticks = sorted({x for points in curves.values() if len(points) > 1 for x in points})
    axes.set_xscale("log")
    axes.set_xticks(ticks, [f"{tick:,.10g}" for tick in ticks])
    axes.minorticks_off()
    return shown


def _model(row: Row) -> str:
    return row.label.partition(INTERPOLATED)[0]
