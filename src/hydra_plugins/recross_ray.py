"""Where Hydra finds ``hydra/launcher=ray_tasks``: it takes launchers from this package alone.

It reads this module whenever it starts, so Ray is imported when a sweep begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

if TYPE_CHECKING:
    from recross.command.ray_tasks import RayTasks


class RayTasksLauncher(Launcher):
    """Hands Ray what Hydra gives a launcher; ``settings`` are those of ``RayTasks``."""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings
        self.tasks: RayTasks | None = None

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Keep what every cell starts from; Hydra calls this first."""
        from recross.command.ray_tasks import RayTasks

        self.tasks = RayTasks(
            **self.settings, context=hydra_context, run_cell=task_function, config=config
        )

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Run cells, each given by its overrides, and wait for them."""
        assert self.tasks is not None, "Hydra sets a launcher up before it launches"
        return self.tasks.run(job_overrides, initial_job_idx)
