"""Figures as wide as a column of a paper, in one style; labels are shown as the texts they are."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recross.writing.escaping import show_unprintable
from recross.writing.whole_files import replace_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

COLUMN_INCHES = 3.4
"""The width of a column in the styles of ACM and IEEE."""
LONGEST_LABEL = 60
"""Of a line below a figure."""
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#5C5C5C")
"""Of Okabe and Ito (2008), without yellow, which a white page hides."""
SHAPES = ("o", "^", "D", "v", "P", "X", "p", "h")
STYLE: dict[Any, Any] = {
    "font.size": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 6.5,
    "legend.handlelength": 1.8,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.linewidth": 1.0,
    "lines.markersize": 4,
    "grid.linewidth": 0.4,
    "svg.fonttype": "none",
}


@contextmanager
def open_figure(height_inches: float) -> Iterator[Figure]:
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


def save_figure(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Write the figure as PNG and SVG; returns the paths."""
    paths = [folder / f"{name}.{suffix}" for suffix in ("png", "svg")]
    for axes in figure.axes:
        for text in (axes.xaxis.label, axes.yaxis.label):
            text.set_parse_math(False)
    for path in paths:
        with replace_file(path) as partial, warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing")  # a box stands for it
            figure.savefig(partial, dpi=300, format=path.suffix[1:])
    return paths


def measure_height(labels: Sequence[str]) -> float:
    """Inches of a figure with a legend of these labels."""
    return 2.1 + 0.14 * sum(1 + label.count("\n") for label in labels)


def name_lines(figure: Figure, axes: Axes, shown: Sequence[tuple[str, Line2D]]) -> None:
    """A legend of any labels: matplotlib would set formulas in them, and leave out ``_names``."""
    axes.grid(alpha=0.3)
    handles = [handle for _, handle in shown]
    places = [str(number) for number in range(len(shown))]
    legend = figure.legend(handles, places, loc="outside lower left", frameon=False)
    for text, (label, _) in zip(legend.get_texts(), shown, strict=True):
        text.set_parse_math(False)
        text.set_text(label)


def place_whole_numbers(axes: Axes) -> None:
    """A logarithmic axis whose ticks are written as numbers, not as powers."""
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:,.10g}")


def fold_label(label: str) -> str:
    """A label for a legend: on two lines where it is longer than one, its end cut after those."""
    text = show_unprintable(label)
    if len(text) <= LONGEST_LABEL:
        return text
    space = text.rfind(" ", LONGEST_LABEL // 2, LONGEST_LABEL)
    place = space + 1 or LONGEST_LABEL
    return f"{text[:place].rstrip()}\n{cut_label(text[place:], LONGEST_LABEL)}"


def cut_label(label: str, longest: int) -> str:
    """A label with its end left out, if it is longer than that."""
    return label if len(label) <= longest else label[: longest - 1] + "…"
