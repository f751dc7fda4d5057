"""Quality against latency; the only home of matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from recross.report.tables.rows import INTERPOLATED, Row


def plot_quality_latency(rows: Sequence[Row], folder: Path) -> list[Path]:
    """Draw the first measure against p50 latency as ``quality_latency.png`` and ``.svg``.

    Rows without a latency are left out; without any such row nothing is drawn.
    """
    points = [(row, _find_milliseconds(row)) for row in rows if row.measures]
    drawn = [(row, latency) for row, latency in points if latency]
    if not drawn:
        return []
    import matplotlib  # a second to import

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    name = next(iter(drawn[0][0].measures))
    figure, axes = plt.subplots(figsize=(10, 5), layout="constrained")
    models = list(dict.fromkeys(_model(row) for row, _ in drawn))
    for row, latency in drawn:
        colour = f"C{models.index(_model(row)) % 10}"
        value = row.measures[name]
        error = [[value.mean - value.low], [value.high - value.mean]]
        is_first_stage = row.difference is None
        axes.errorbar(
            latency,
            value.mean,
            yerr=error,
            fmt="s" if is_first_stage else "o",
            capsize=3,
            color=colour,
            markerfacecolor="none" if _model(row) != row.label else colour,
            label=f"{row.label[:60]} {row.mark}",
        )
    axes.set_xscale("log")
    axes.set_xlabel("p50 latency per 100 documents, ms (squares: first stage, one search)")
    axes.set_ylabel(f"{name}, 95 % interval")
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right upper", fontsize="small", frameon=False)
    paths = [folder / f"quality_latency.{suffix}" for suffix in ("png", "svg")]
    for path in paths:
        figure.savefig(path, dpi=150)
    plt.close(figure)
    return paths


def _find_milliseconds(row: Row) -> float | None:
    return row.latency["p50"] if row.latency else row.first_stage_ms


def _model(row: Row) -> str:
    return row.label.partition(INTERPOLATED)[0]
