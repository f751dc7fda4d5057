"""Quality against the time of a query, with the front of what nothing else beats."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from recross.report.choosing.choices import ChoiceRow, ChoiceStudy
from recross.writing.escaping import show_unprintable
from recross.writing.whole_files import replace_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_choices(study: ChoiceStudy, folder: Path) -> list[Path]:
    """Draw ``choices.png`` and ``.svg``: a line for each re-ranker and hardware over its depths."""
    import matplotlib  # a second to import

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure = plt.figure(figsize=(8, 6), layout="constrained")
    axes = figure.subplots()
    names = list(dict.fromkeys(row.name for row in study.rows if row.depth))
    for number, name in enumerate(names):
        _draw_choice(axes, [row for row in study.rows if row.name == name], f"C{number % 10}")
    _draw_front(axes, study)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("ms in which 95 of 100 queries are done (numbers: candidates re-ranked)")
    axes.set_ylabel(study.rows[0].measure)
    axes.grid(alpha=0.3)
    legend = figure.legend(loc="outside lower left", fontsize="small", frameon=False)
    for text in (*legend.get_texts(), axes.yaxis.label):
        text.set_parse_math(False)
    paths = [folder / f"choices.{suffix}" for suffix in ("png", "svg")]
    for path in paths:
        with replace_file(path) as partial, warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing")  # a box stands for it
            figure.savefig(partial, dpi=150, format=path.suffix[1:])
    plt.close(figure)
    return paths


def _draw_choice(axes: Axes, rows: Sequence[ChoiceRow], colour: str) -> None:
    by_depth = sorted(rows, key=lambda row: row.depth)
    times, means = [row.p95_ms for row in by_depth], [row.quality for row in by_depth]
    label = "\u200b" + show_unprintable(by_depth[0].name)  # matplotlib leaves out ``_names``
    axes.plot(times, means, marker="o", color=colour, linewidth=1, label=label)
    for row in by_depth:
        axes.annotate(
            str(row.depth), (row.p95_ms, row.quality), (4, 4), textcoords="offset points", size=8
        )


def _draw_front(axes: Axes, study: ChoiceStudy) -> None:
    front = [row for row in study.rows if row.is_on_front]
    least = min((row.p95_ms for row in study.rows if row.depth), default=1.0) / 2  # no zero there
    times = [max(row.p95_ms, least) for row in front]
    axes.plot(
        *(times[:1], [front[0].quality]),
        marker="s",
        color="grey",
        linestyle="none",
        label="candidates as they are, which take no time",
    )
    axes.step(
        [*times, max(row.p95_ms for row in study.rows)],
        [*(row.quality for row in front), front[-1].quality],
        where="post",
        color="black",
        linewidth=1.2,
        linestyle="--",
        label="Pareto front",
    )
    if study.within_ms is not None:
        axes.axvline(study.within_ms, color="grey", linestyle=":", label=f"{study.within_ms:g} ms")
    best = study.advised
    axes.plot(
        [max(best.p95_ms, least)],
        [best.quality],
        marker="*",
        markersize=16,
        color="black",
        linestyle="none",
        label="advised",
    )
