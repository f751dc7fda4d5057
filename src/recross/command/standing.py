"""``recross status``: how far a sweep is, from its files alone, wherever its cells run."""

from __future__ import annotations

import argparse
import os
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from recross.experiment.sweep_record import CellState, SweptCell, read_sweep
from recross.writing.progress import format_duration

_SHOWN = (CellState.RUNNING, CellState.LOST, CellState.FAILED)
_NAMED = 20
"""Cells of one state that are named; more are counted only."""


def describe_sweep(words: Sequence[str]) -> tuple[str, int]:
    """What ``recross status`` prints, and its exit code: 1 where a cell failed or was lost.

    Raises:
        InputError: no sweep wrote into the folder.
    """
    parser = argparse.ArgumentParser(prog="recross status")
    parser.add_argument("study", type=Path, metavar="STUDY", help="folder of a sweep")
    folder: Path = parser.parse_args(words).study
    cells = [(cell, cell.state) for cell in read_sweep(folder)]
    counts = Counter(state for _, state in cells)
    told = ", ".join(f"{counts[state]} {state.value}" for state in CellState if counts[state])
    lines = [f"{folder}: {len(cells)} cells, {told}"]
    left = [cell for cell, state in cells if state in (CellState.RUNNING, CellState.WAITING)]
    if left:
        at_a_time = max(1, counts[CellState.RUNNING])
        lines.append(_estimate([cell for cell, _ in cells], left, at_a_time))
    for state in _SHOWN:
        named = [cell for cell, its_state in cells if its_state is state]
        lines += [_describe_cell(cell, state, folder) for cell in named[:_NAMED]]
    return "\n".join(lines), 1 if counts[CellState.FAILED] + counts[CellState.LOST] else 0


def _estimate(cells: Sequence[SweptCell], left: Sequence[SweptCell], at_a_time: int) -> str:
    """When the rest will be done, if its cells take as long as those that were computed."""
    known = [seconds for cell in cells if (seconds := cell.seconds) is not None]
    if not known:
        return "no estimate yet: no cell was computed so far"
    mean, now = sum(known) / len(known), time.time()
    spent = [now - (cell.started or now) for cell in left if cell.state is CellState.RUNNING]
    seconds = mean * (len(left) - len(spent)) + sum(max(0.0, mean - each) for each in spent)
    return (
        f"about {format_duration(seconds / at_a_time)} left, {at_a_time} at a time;"
        f" a cell took {format_duration(mean)}"
    )


def _describe_cell(cell: SweptCell, state: CellState, folder: Path) -> str:
    result = cell.place.result
    shown = result.parent if result.name == "result.json" else result
    line = f"  {state.value:<8} {os.path.relpath(shown, folder)}"
    if state is CellState.RUNNING and cell.started is not None:
        return f"{line}  since {format_duration(max(0.0, time.time() - cell.started))}"
    if state is CellState.FAILED:
        return f"{line}  {cell.place.find_recorded_failure()}"
    return line
