"""Who re-ranks the blocks of a run: processes of this machine, or actors of a cluster of Ray."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Literal

from recross.errors import InputError
from recross.experiment.block_process import BlockTask
from recross.experiment.block_processes import share_blocks
from recross.experiment.blocks import RunBlocks
from recross.machine.hardware import Hardware

Executor = Literal["local", "ray"]

RAY_PACKAGES = ("ray", "pandas", "pyarrow")
"""What Ray Data imports."""


def check_executor(executor: Executor, processes: int | None, hardware: Hardware) -> None:
    """Refuse what cannot share a run; ``processes`` is ``None`` where this process makes it alone.

    Raises:
        InputError: Ray is asked for and not installed, or shares with no process or with nodes of
            our own; there are nodes, and no processes; or batches depend on the clock.
    """
    if executor == "ray":
        _check_ray(processes, hardware)
    if processes is None:
        hardware.require_one_node("a run that is not shared by processes")
    elif hardware.tokens_per_batch == "auto":
        raise InputError(
            "hardware.tokens_per_batch must be a number where processes share a run, whose"
            " batches are not to depend on the clock, got 'auto'"
        )


def share_run(
    executor: Executor, blocks: RunBlocks, task: BlockTask, processes: int, gpus: int
) -> RunBlocks:
    """Have every block re-ranked; returns the blocks in the form in which they are kept.

    Raises:
        InputError: a process was refused something, such as a network that was never trained.
        RunError: processes are killed again and again, or no cluster of Ray answers.
    """
    if executor == "ray":
        from recross.experiment.ray_blocks import stream_blocks  # needs the extra ray

        return stream_blocks(blocks, task, processes)
    share_blocks(blocks, task, processes, gpus)
    return blocks


def _check_ray(processes: int | None, hardware: Hardware) -> None:
    if missing := [name for name in RAY_PACKAGES if find_spec(name) is None]:
        raise InputError(
            f"executor must be installed, got 'ray' without {', '.join(missing)};"
            " pip install 'recross[ray]'"
        )
    if processes is None:
        raise InputError("processes must be a number for executor=ray, got null")
    hardware.require_one_node("a run that Ray shares")
