"""Quality against latency, depth, training and budget, and of runs, for a column of a paper.

The only home of matplotlib.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recross.report.tables.front import find_front, find_milliseconds
from recross.report.tables.rows import INTERPOLATED, Row
from recross.report.tables.short_labels import shorten_labels
from recross.writing.escaping import show_unprintable
from recross.writing.whole_files import replace_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

LONGEST_LABEL, LONGEST_BESIDE = 62, 34
"""Of a label below a plot, and beside it."""
COLUMN_INCHES = 3.4
"""The width of a column in the styles of ACM and IEEE."""
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#5C5C5C")
"""Of Okabe and Ito (2008), without yellow, which a white page hides."""
SHAPES = ("o", "^", "D", "v", "P", "X", "p", "h")
STYLE: dict[Any, Any] = {
    "font.size": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 6.5,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.linewidth": 1.0,
    "lines.markersize": 4,
    "grid.linewidth": 0.4,
    "svg.fonttype": "none",
}


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
    with _open_figure(2.1 + 0.14 * len(drawn)) as figure:
        axes = figure.subplots()
        name = next(iter(drawn[0].measures))
        models = list(dict.fromkeys(_model(row) for row in drawn))
        shown = []
        for row, label in zip(
            drawn, shorten_labels([row.label for row in drawn]).names, strict=True
        ):
            mark = _draw_point(axes, row, name, models.index(_model(row)))
            shown.append((f"{label} {row.mark}", mark))
        shown += _draw_front(axes, drawn, name)
        axes.set_xscale("log")
        axes.set_xlabel("p50 latency per 100 documents, ms")
        axes.set_ylabel(f"{name}, 95 % interval")
        _name_what_is_drawn(figure, axes, shown)
        return _save(figure, folder, "quality_latency")


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
    with _open_figure(2.1 + 0.14 * len(drawn)) as figure:
        axes = figure.subplots()
        shown = _draw_curves(axes, drawn)
        axes.set_xlabel(axis.label)
        axes.set_ylabel(f"{next(iter(next(iter(curves.values()))[0].measures))}, 95 % interval")
        _name_what_is_drawn(figure, axes, shown)
        return _save(figure, folder, axis.file)


def plot_measures(rows: Sequence[Row], folder: Path) -> list[Path]:
    """Draw every measure of each row with its interval as ``measures.png`` and ``.svg``."""
    names = list(dict.fromkeys(name for row in rows for name in row.measures))
    labels = shorten_labels([row.label for row in rows]).names
    with _open_figure(0.5 + 0.2 * len(rows) * len(names) + 0.3 * len(names)) as figure:
        for axes, name in zip(figure.subplots(len(names), squeeze=False).flat, names, strict=True):
            for place, row in enumerate(rows):
                value = row.measures[name]
                error = [[value.mean - value.low], [value.high - value.mean]]
                axes.errorbar(value.mean, place, xerr=error, fmt="o", capsize=2, color=COLOURS[0])
            marked = [
                _cut(show_unprintable(f"{label} {row.mark_of(name)}".rstrip()), LONGEST_BESIDE)
                for label, row in zip(labels, rows, strict=True)
            ]
            axes.set_yticks(range(len(rows)), marked, parse_math=False)
            axes.set_ylim(len(rows) - 0.5, -0.5)
            axes.set_xlabel(f"{name}, 95 % interval")
            axes.grid(alpha=0.3, axis="x")
        return _save(figure, folder, "measures")


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
    return [("Pareto front: none is faster and better", line)]


def _draw_curves(axes: Axes, curves: Mapping[str, Mapping[float, Row]]) -> list[tuple[str, Line2D]]:
    shown: list[tuple[str, Line2D]] = []
    for number, (label, points) in enumerate(curves.items()):
        values = [next(iter(row.measures.values())) for row in points.values()]
        means, colour = [value.mean for value in values], COLOURS[number % len(COLOURS)]
        if len(points) == 1:
            shown.append((label, axes.axhline(means[0], color=colour, linestyle="--")))
            continue
        shape = SHAPES[number % len(SHAPES)]
        (line,) = axes.plot(list(points), means, marker=shape, color=colour)
        shown.append((label, line))
        lows, highs = [value.low for value in values], [value.high for value in values]
        axes.fill_between(list(points), lows, highs, color=colour, alpha=0.12, linewidth=0)
    ticks = sorted({x for points in curves.values() if len(points) > 1 for x in points})
    axes.set_xscale("log")
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    return shown


def _name_what_is_drawn(figure: Figure, axes: Axes, shown: Sequence[tuple[str, Line2D]]) -> None:
    """A legend of any labels: matplotlib would set formulas in them, and leave out ``_names``."""
    axes.grid(alpha=0.3)
    handles = [handle for _, handle in shown]
    places = [str(number) for number in range(len(shown))]
    legend = figure.legend(handles, places, loc="outside lower left", frameon=False)
    for text, (label, _) in zip(legend.get_texts(), shown, strict=True):
        text.set_parse_math(False)
        text.set_text(_cut(show_unprintable(label), LONGEST_LABEL))


def _cut(label: str, longest: int) -> str:
    return label if len(label) <= longest else label[: longest - 1] + "…"


@contextmanager
def _open_figure(height_inches: float) -> Iterator[Figure]:
    """A figure as wide as a column, in a paper's style."""
    import matplotlib  # a second to import

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    with matplotlib.rc_context(STYLE):
        figure = plt.figure(figsize=(COLUMN_INCHES, height_inches), layout="constrained")
        try:
            yield figure
        finally:
            plt.close(figure)


def _save(figure: Figure, folder: Path, name: str) -> list[Path]:
    paths = [folder / f"{name}.{suffix}" for suffix in ("png", "svg")]
    for axes in figure.axes:
        for text in (axes.xaxis.label, axes.yaxis.label):
            text.set_parse_math(False)
    for path in paths:
        with replace_file(path) as partial, warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing")  # a box stands for it
            figure.savefig(partial, dpi=300, format=path.suffix[1:])
    return paths


def _model(row: Row) -> str:
    return row.label.partition(INTERPOLATED)[0]
