"""Where Hydra finds ``hydra/sweeper=optuna``: it takes sweepers from this package alone.

It reads this module whenever it starts, so what searches is imported when a search begins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

if TYPE_CHECKING:
    from recross.command.searching import Search


class OptunaSweeper(Sweeper):
    """Hands a search what Hydra gives a sweeper; ``settings`` are those of ``Search``."""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings
        self.search: Search | None = None

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Make the launcher and the search; Hydra calls this first."""
        from recross.command.searching import Search

        launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )
        self.search = Search(
            **self.settings, config=config, context=hydra_context, launcher=launcher
        )

    def sweep(self, arguments: list[str]) -> None:
        """Search over what the overrides vary."""
        assert self.search is not None, "Hydra sets a sweeper up before it sweeps"
        self.search.run(arguments)
