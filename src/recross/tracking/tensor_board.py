"""TensorBoard; the only home of its writer."""

from __future__ import annotations

import logging
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from recross.errors import InputError
from recross.machine.packages import is_installed
from recross.records import JsonObject
from recross.tracking.tracker import JsonLinesLog, JsonLinesTracker
from recross.tracking.values import flatten_cells

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

logger = logging.getLogger(__name__)

EVENTS = "tensorboard"


@dataclass(frozen=True)
class TensorBoard:
    """Curves, values of the config and the result as events, and JSON lines beside them.

    They lie in ``tensorboard/`` of the experiment's folder, so that ``tensorboard --logdir`` of a
    study's folder compares its experiments (extra ``tensorboard``).
    """

    def __post_init__(self) -> None:
        if not is_installed("tensorboard"):
            raise InputError(
                "tracking=tensorboard needs the package tensorboard (extra tensorboard)"
            )

    def open(self, folder: Path, study: str, name: str, config: JsonObject) -> TensorBoardLog:
        """Start an empty log in the experiment's folder."""
        from torch.utils.tensorboard import SummaryWriter

        lines = JsonLinesTracker().open(folder, study, name, config)
        events = folder / EVENTS
        shutil.rmtree(events, ignore_errors=True)  # of a run before, whose steps would mix
        return TensorBoardLog(SummaryWriter(str(events)), lines, config, events)


@dataclass(frozen=True)
class TensorBoardLog:
    """Events of an experiment that is running."""

    writer: SummaryWriter
    lines: JsonLinesLog
    config: JsonObject
    folder: Path

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Record the values of one step."""
        self.lines.log(step, values)
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)
        self.writer.flush()

    def finish(self, result: JsonObject) -> None:
        """Record the measures beside the values of the config, and say how to look at them."""
        self.lines.finish(result)
        values = {key: "null" if v is None else v for key, v in flatten_cells(self.config).items()}
        measures = flatten_cells({"measures": result.get("measures", {})})
        self.writer.add_hparams(values, measures, run_name=".")
        self.writer.close()
        logger.info("curves: tensorboard --logdir %s", shlex.quote(str(self.folder.parents[2])))
