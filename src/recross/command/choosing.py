"""``recross choose``: every choice is measured in a process of its own, then one is advised."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from recross.command.composition import save_config
from recross.command.signatures import Node
from recross.errors import RunError

if TYPE_CHECKING:
    from recross.experiment.place import Command

logger = logging.getLogger(__name__)


def measure_apart(values: Node) -> None:
    """Measure one choice in a new process, whose memory and start are nobody else's.

    A failure is recorded in a file and does not stop others.
    """
    from recross.command.building import build

    choice: Command = build(values)
    save_config(values, choice.place.config)
    command = ["-m", "recross", "choose", "--from", str(choice.place.config)]
    code = subprocess.run([sys.executable, *command], check=False).returncode
    if code:
        said = RunError(f"its process ended with exit code {code} and has said why above")
        choice.place.record_failure({"name": str(values["name"])}, said)


def write_advice(choices: Sequence[Command]) -> None:
    """Write table, plot and page of the choices that were measured; print table and advice."""
    from recross.report.choosing.choice_files import write_choices

    done = [choice.place.result for choice in choices if choice.place.find_failure() is None]
    written = write_choices(done, done[0].parents[1])
    logger.info("wrote %s", ", ".join(map(str, written)))
