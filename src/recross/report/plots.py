"""Quality against latency, depth and budget; the only home of matplotlib."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from recross.report.tables.rows import INTERPOLATED, Row
from recross.writing.escaping import show_unprintable
from recross.writing.whole_files import replace_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

LONGEST_LABEL = 62


def plot_quality_latency(rows: Sequence[Row], folder: Path) -> list[Path]:
    """Draw the first measure against p50 latency as ``quality_latency.png`` and ``.svg``.

    Rows without a latency are left out; without any such row nothing is drawn.
    """
    points = [(row, _find_milliseconds(row)) for row in rows if row.measures]
    drawn = [(row, latency) for row, latency in points if latency]
    if not drawn:
        return []
    figure = _make_figure()
    axes = figure.subplots()
    name = next(iter(drawn[0][0].measures))
    shown: list[tuple[str, Line2D]] = []
    models = list(dict.fromkeys(_model(row) for row, _ in drawn))
    for row, latency in drawn:
        colour = f"C{models.index(_model(row)) % 10}"
        value = row.measures[name]
        error = [[value.mean - value.low], [value.high - value.mean]]
        is_first_stage = row.difference is None
        bars = axes.errorbar(
            latency,
            value.mean,
            yerr=error,
            fmt="s" if is_first_stage else "o",
            capsize=3,
            color=colour,
            markerfacecolor="none" if _model(row) != row.label else colour,
        )
        shown.append((f"{row.label} {row.mark}", bars.lines[0]))
    axes.set_xscale("log")
    axes.set_xlabel("p50 latency per 100 documents, ms (squares: first stage, one search)")
    axes.set_ylabel(f"{name}, 95 % interval")
    axes.grid(alpha=0.3)
    _name_what_is_drawn(figure, shown)
    return _save(figure, folder, "quality_latency")


def plot_curves(rows: Sequence[Row], folder: Path) -> list[Path]:
    """Draw the first measure of rows that are points of curves, against what they differ in.

    That is ``quality_budget`` where rows have a budget of time, else ``quality_depth``. A curve of
    one point is a line across, such as a first stage; without a curve of more nothing is drawn.
    """
    curves: dict[str, list[Row]] = {}
    for row in rows:
        if row.curve is not None and row.measures:
            curves.setdefault(row.curve, []).append(row)
    budgets = any(row.budget_ms for points in curves.values() for row in points)
    drawn = {name: _place_points(points, budgets) for name, points in curves.items()}
    if all(len(points) < 2 for points in drawn.values()):
        return []
    figure = _make_figure()
    _draw_curves(figure, drawn)
    axes = figure.axes[0]
    axes.set_xlabel("milliseconds that a query may take" if budgets else "candidates re-ranked")
    axes.set_ylabel(f"{next(iter(next(iter(curves.values()))[0].measures))}, 95 % interval")
    return _save(figure, folder, "quality_budget" if budgets else "quality_depth")


def _place_points(rows: Sequence[Row], budgets: bool) -> Mapping[float, Row]:
    """Where along a plot each row of a curve stands."""
    placed = {(row.budget_ms if budgets else row.depth) or 0.0: row for row in rows}
    return dict(sorted(placed.items()))


def _draw_curves(figure: Figure, curves: Mapping[str, Mapping[float, Row]]) -> None:
    axes = figure.subplots()
    shown: list[tuple[str, Line2D]] = []
    for number, (label, points) in enumerate(curves.items()):
        values = [next(iter(row.measures.values())) for row in points.values()]
        means, colour = [value.mean for value in values], f"C{number % 10}"
        if len(points) == 1:
            shown.append((label, axes.axhline(means[0], color=colour, linestyle="--")))
            continue
        (line,) = axes.plot(list(points), means, marker="o", color=colour)
        shown.append((label, line))
        lows, highs = [value.low for value in values], [value.high for value in values]
        axes.fill_between(list(points), lows, highs, color=colour, alpha=0.12, linewidth=0)
    ticks = sorted({x for points in curves.values() if len(points) > 1 for x in points})
    axes.set_xscale("log")
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    _name_what_is_drawn(figure, shown)


def _name_what_is_drawn(figure: Figure, shown: Sequence[tuple[str, Line2D]]) -> None:
    """A legend of any labels: matplotlib would set formulas in them, and leave out ``_names``."""
    handles = [handle for _, handle in shown]
    places = [str(number) for number in range(len(shown))]
    legend = figure.legend(
        handles, places, loc="outside right upper", fontsize="small", frameon=False
    )
    for text, (label, _) in zip(legend.get_texts(), shown, strict=True):
        text.set_parse_math(False)
        text.set_text(_cut(show_unprintable(label)))


def _cut(label: str) -> str:
    return label if len(label) <= LONGEST_LABEL else label[: LONGEST_LABEL - 1] + "…"


def _make_figure() -> Figure:
    import matplotlib  # a second to import

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    return plt.figure(figsize=(10, 5), layout="constrained")


def _save(figure: Figure, folder: Path, name: str) -> list[Path]:
    from matplotlib import pyplot as plt

    paths = [folder / f"{name}.{suffix}" for suffix in ("png", "svg")]
    for axes in figure.axes:
        for text in (axes.xaxis.label, axes.yaxis.label):
            text.set_parse_math(False)
    for path in paths:
        with replace_file(path) as partial, warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing")  # a box stands for it
            figure.savefig(partial, dpi=150, format=path.suffix[1:])
    plt.close(figure)
    return paths


def _find_milliseconds(row: Row) -> float | None:
    return row.latency["p50"] if row.latency else row.first_stage_ms


def _model(row: Row) -> str:
    return row.label.partition(INTERPOLATED)[0]
