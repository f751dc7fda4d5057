"""What launchers ask of a machine follows from the hardware option."""

import importlib.util

import pytest

from recross.collections.files import write_beir
from recross.command import hydra_settings
from recross.command.cli import main
from recross.command.composition import compose_config
from recross.command.hydra_settings import find_needed_launcher
from recross.command.resources import count_cores, count_gpus, count_processes
from recross.machine import processor
from tests.conftest import toy_collection

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


@needs("submitit")
@pytest.mark.parametrize(
    "hardware, lines",
    [
        (["hardware=gpu_x8", "hardware.threads=4"], ["cpus-per-task=32", "gpus-per-node=8"]),
        (["hardware.threads=2"], ["cpus-per-task=2"]),
    ],
)
def test_the_script_for_slurm_asks_for_what_its_hardware_needs(
    tmp_path, monkeypatch, hardware, lines
):
    import submitit

    executors = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(submitit.SlurmExecutor, "affinity", lambda *_: 2)  # as where srun is
    monkeypatch.setattr(
        submitit.AutoExecutor,
        "map_array",
        lambda executor, *_: executors.append(executor._executor) or [],
    )
    write_beir(tmp_path / "toy", toy_collection())
    words = ["run", "-m", "collection=files", "collection.folder=toy", "retriever=bm25,random"]
    words += ["reranker=none", "hydra/launcher=slurm", "hydra.launcher.partition=long"]
    assert main([*words, *hardware]) == 1  # no cell was run
    script = executors[0]._make_submission_file_text("python", "uid")
    asked = {line.removeprefix("#SBATCH --") for line in script.splitlines()}
    assert asked >= {"partition=long", "nodes=1", "ntasks-per-node=1", "time=1440", *lines}
    assert sum(line.startswith(("cpus", "gpus")) for line in asked) == len(lines)


@needs("joblib")
def test_processes_have_cores_of_their_own(monkeypatch):
    monkeypatch.setattr(processor, "count_usable_cores", lambda: 7)
    assert launcher_of("hydra/launcher=processes", "hardware.threads=2").n_jobs == 3


def test_a_task_of_ray_asks_for_what_its_hardware_needs():
    pytest.importorskip("ray", reason="the extra ray is not installed")
    asked = launcher_of("hydra/launcher=ray_tasks", "hardware=gpu", "hardware.threads=4")
    assert (asked.num_cpus, asked.num_gpus, asked.retries) == (4, 1, 3)


def test_a_sweep_on_ray_names_the_extra_that_is_missing(monkeypatch, caplog):
    monkeypatch.setattr(hydra_settings, "is_installed", lambda package: package != "ray")
    assert main(["run", "-m", "hydra/launcher=ray_tasks", "reranker=none", "seed=0,1"]) == 2
    assert "hydra/launcher: needs the package ray; pip install 'recross[ray]'" in caplog.text


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
