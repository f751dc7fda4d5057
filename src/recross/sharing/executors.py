"""Who does shared work: processes of this machine, or actors of a cluster of Ray."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from recross.errors import InputError
from recross.machine.hardware import Hardware
from recross.machine.packages import is_installed
from recross.sharing.processes import share_locally
from recross.sharing.work import SharedTask, SharedWork

Executor = Literal["local", "ray"]

RAY_PACKAGES = ("ray", "pandas", "pyarrow")
"""What Ray Data imports."""


@dataclass(frozen=True)
class Sharing:
    """So many ``processes`` of an ``executor``, which have ``gpus`` between them, if any."""

    executor: Executor
    processes: int
    gpus: int = 1

    def do(self, work: SharedWork, task: SharedTask) -> None:
        """Have every piece made; ``task`` is what processes are told of the same work.

        Raises:
            InputError: a process was refused something, such as a network that was never trained.
            RunError: processes are killed again and again, or no cluster of Ray answers.
        """
        if self.executor == "local":
            share_locally(work, task, self.processes, self.gpus)
            return
        from recross.sharing.ray_actors import share_by_ray  # needs the extra ray

        share_by_ray(work, task, self.processes)


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


def _check_ray(processes: int | None, hardware: Hardware) -> None:
    if missing := [name for name in RAY_PACKAGES if not is_installed(name)]:
        raise InputError(
            f"executor must be installed, got 'ray' without {', '.join(missing)};"
            " pip install 'recross[ray]'"
        )
    if processes is None:
        raise InputError("processes must be a number for executor=ray, got null")
    hardware.require_one_node("a run that Ray shares")
