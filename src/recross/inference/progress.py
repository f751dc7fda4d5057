"""The progress bar that all long work shows on a terminal, and nowhere else."""

from __future__ import annotations

import sys
from typing import TypeAlias

from tqdm import tqdm

Bar: TypeAlias = tqdm
"""Counts what is done: ``bar.update(3)``."""


def is_watched() -> bool:
    """Whether somebody sees a bar: on a terminal. A log file wants lines."""
    return sys.stderr.isatty()


def progress(
    total: int, description: str, unit: str, done: int = 0, shown: bool | None = None
) -> Bar:
    """Return a bar that counts up to ``total``, from what was ``done`` before.

    ``shown=None`` shows it where there is more than one thing to count. It is never shown where
    nobody watches.
    """
    wanted = total > 1 if shown is None else shown
    return Bar(
        total=total,
        desc=description,
        unit=unit,
        initial=done,
        disable=not (wanted and is_watched()),
        leave=False,
    )
