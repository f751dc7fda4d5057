"""Which cell of a sweep goes on: said once, and with all that is said of its work."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from hydra.core.hydra_config import HydraConfig

from recross.command.failures import set_variable
from recross.writing.progress import PART_OF

logger = logging.getLogger(__name__)

CELLS = "RECROSS_CELLS"
"""Environment variable: how many cells a sweep has, for launchers that start processes."""


def count_cells(total: int) -> AbstractContextManager[None]:
    """Within, every cell knows how many there are."""
    return set_variable(CELLS, str(total))


@contextmanager
def at_cell(kind: str, made: object) -> Iterator[None]:
    """Say which cell begins, and what it makes; within, what its work says begins with that."""
    place = _name_cell(kind)
    logger.info("%s: %s", place, made)
    with set_variable(PART_OF, place):
        yield


def _name_cell(kind: str) -> str:
    """``cell 2 of 9``, as far as this process can know."""
    if not HydraConfig.initialized():
        return kind
    settings = HydraConfig.get()
    total = settings.sweeper.get("n_trials") or os.environ.get(CELLS)
    number = f"{kind} {settings.job.num + 1}"
    return f"{number} of {total}" if total else number
