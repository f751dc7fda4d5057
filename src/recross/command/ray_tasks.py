"""Cells of a sweep as tasks of Ray, each started again where its process or machine was lost."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ray
from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, run_job, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict
from ray.exceptions import RayError

from recross.errors import InputError
from recross.machine.ray_cluster import StartingPlace, connect_to_ray

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RayTasks:
    """Runs cells on the cluster at ``address``, or on one of this machine that ends with them.

    A cell whose process or machine was lost is started again, up to ``retries`` times, and goes on
    from what is finished. One that is lost for good stops no other.
    """

    address: str | None
    num_cpus: int | None
    num_gpus: int | None
    retries: int
    context: HydraContext
    run_cell: TaskFunction
    config: DictConfig

    def run(self, cells: Sequence[Sequence[str]], first_number: int) -> list[JobReturn]:
        """Run cells, each given by its overrides, and return what each of them did.

        Raises:
            InputError: this machine has too few cores or GPUs for a cell.
            RunError: no cluster answers.
        """
        with connect_to_ray(self.address) as is_here:
            if is_here:  # another cluster may grow
                self._refuse_too_much(ray.cluster_resources())
            tasks = [self._start(first_number + number, cell) for number, cell in enumerate(cells)]
            return [_wait_for(task, cell) for task, cell in zip(tasks, cells, strict=True)]

    def _refuse_too_much(self, there: Mapping[str, float]) -> None:
        """Refuse what would be waited for without end."""
        for key, name, asked in (
            ("num_cpus", "CPU", self.num_cpus),
            ("num_gpus", "GPU", self.num_gpus),
        ):
            if asked is not None and asked > there.get(name, 0):
                raise InputError(
                    f"hydra.launcher.{key}: must be at most what this machine has for Ray,"
                    f" {there.get(name, 0):g}, got {asked}; hardware says what a cell needs"
                )

    def _start(self, number: int, overrides: Sequence[str]) -> Any:
        config = self.context.config_loader.load_sweep_config(self.config, list(overrides))
        with open_dict(config):
            config.hydra.job.id, config.hydra.job.num = f"ray-{number}", number
        task = ray.remote(num_cpus=self.num_cpus, num_gpus=self.num_gpus, max_retries=self.retries)(
            _run_there
        )
        place = StartingPlace.here()
        return task.remote(place, self.context, config, self.run_cell, Singleton.get_state())


def _run_there(
    place: StartingPlace,
    context: HydraContext,
    config: DictConfig,
    run_cell: TaskFunction,
    state: object,
) -> JobReturn:
    """Run one cell in a process of Ray as it would run where the sweep was started."""
    place.enter()
    setup_globals()
    Singleton.set_state(state)
    HydraConfig.instance().set_config(config)
    return run_job(
        hydra_context=context,
        task_function=run_cell,
        config=config,
        job_dir_key="hydra.sweep.dir",
        job_subdir_key="hydra.sweep.subdir",
    )


def _wait_for(task: Any, overrides: Sequence[str]) -> JobReturn:
    """What a cell did; one that is lost is told of, and what it lacks is noticed by its files."""
    try:
        done: JobReturn = ray.get(task)
    except RayError as error:
        reason = next((line for line in str(error).splitlines() if line.strip()), repr(error))
        logger.error("recross: %s was lost: %s", " ".join(overrides), reason)
        return JobReturn(overrides=overrides, status=JobStatus.COMPLETED)
    return done
