"""What launchers ask of a machine follows from the hardware option."""

import importlib.util

import pytest

from recross.command.cli import main
from recross.command.composition import compose_config
from recross.command.hydra_settings import find_needed_launcher
from recross.command.resources import count_cores, count_gpus, count_processes
from recross.machine import processor

CPU = {"accelerator": "cpu", "devices": 1, "threads": 2}
GPUS = {"accelerator": "gpu", "devices": 8, "threads": 4}


def needs(launcher):
    found = importlib.util.find_spec("hydra_plugins")
    missing = not found or not importlib.util.find_spec(f"hydra_plugins.hydra_{launcher}_launcher")
    return pytest.mark.skipif(missing, reason=f"needs the launcher {launcher}")


def test_cores_and_gpus_of_a_cell_are_those_of_all_its_processes():
    assert (count_cores(CPU), count_gpus(CPU)) == (2, None)
    assert (count_cores(GPUS), count_gpus(GPUS)) == (32, 8)
    assert count_cores({**CPU, "threads": None}) is None


def test_as_many_processes_run_as_have_cores_of_their_own(monkeypatch):
    monkeypatch.setattr(processor, "count_usable_cores", lambda: 7)
    assert count_processes(CPU) == 3
    assert count_processes({**CPU, "devices": 2}) == 1
    assert count_processes({**CPU, "threads": 9}) == 1
    assert count_processes({**CPU, "threads": None}) == 1  # each would take all cores
    assert count_processes({**GPUS, "devices": 1, "threads": 1}) == 1  # they would share a GPU


def launcher_of(*words):
    return compose_config("rerank", ["candidates=x", "hydra.mode=MULTIRUN", *words]).hydra.launcher


@needs("submitit")
@pytest.mark.parametrize("launcher", ["slurm", "local_jobs"])
def test_a_job_asks_for_what_its_hardware_needs(launcher):
    words = [f"hydra/launcher={launcher}", "hardware=gpu_x8", "hardware.threads=4"]
    asked = launcher_of(*words)
    assert (asked.cpus_per_task, asked.gpus_per_node) == (32, 8)
    assert launcher_of(*words, "hydra.launcher.cpus_per_task=3").cpus_per_task == 3
    on_cpu = launcher_of(f"hydra/launcher={launcher}", "hardware.threads=2")
    assert (on_cpu.cpus_per_task, on_cpu.gpus_per_node) == (2, None)


@needs("joblib")
def test_processes_have_cores_of_their_own(monkeypatch):
    monkeypatch.setattr(processor, "count_usable_cores", lambda: 7)
    assert launcher_of("hydra/launcher=processes", "hardware.threads=2").n_jobs == 3


@needs("ray")
def test_a_task_of_ray_asks_for_what_its_hardware_needs():
    remote = launcher_of(
        "hydra/launcher=ray_tasks", "hardware=gpu", "hardware.threads=4"
    ).ray.remote
    assert (remote.num_cpus, remote.num_gpus) == (4, 1)


@pytest.mark.parametrize("option, extra", [("joblib", "joblib"), ("submitit_local", "slurm")])
def test_a_launcher_that_is_not_installed_names_its_extra(option, extra):
    message = f"In 'hydra/launcher/x': Could not find 'hydra/launcher/{option}'"
    assert f"pip install 'recross[{extra}]'" in find_needed_launcher(message)
    assert find_needed_launcher("Could not find 'reranker/x'") is None


def test_options_lists_launchers_and_samplers(capsys):
    assert main(["options", "hydra/launcher", "hydra/sweeper/sampler"]) == 0
    said = capsys.readouterr().out
    for name in ("processes", "slurm", "ray_tasks", "tpe", "random"):
        assert f"\n  {name} " in said
