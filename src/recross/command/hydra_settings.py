"""What a config may say to Hydra itself, whose node can name any callable and any folder."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from recross.command.signatures import TARGET
from recross.machine.packages import is_installed
from recross.parts.secrets import find_secrets

LAUNCHERS = frozenset(
    (
        "hydra._internal.core_plugins.basic_launcher.BasicLauncher",
        "hydra_plugins.hydra_joblib_launcher.joblib_launcher.JoblibLauncher",
        "hydra_plugins.hydra_submitit_launcher.submitit_launcher.LocalLauncher",
        "hydra_plugins.hydra_submitit_launcher.submitit_launcher.SlurmLauncher",
        "hydra_plugins.recross_ray.RayTasksLauncher",
    )
)
SEARCHER = "hydra_plugins.recross_search.OptunaSweeper"
"""Chooses its cells as it goes, and checks each before it runs."""
SWEEPERS = frozenset(("hydra._internal.core_plugins.basic_sweeper.BasicSweeper", SEARCHER))
NEEDED = {
    "hydra_plugins.hydra_joblib_launcher": ("hydra-joblib-launcher", "joblib"),
    "hydra_plugins.hydra_submitit_launcher": ("hydra-submitit-launcher", "slurm"),
    "ray": ("ray", "ray"),
    "optuna": ("optuna", "optuna"),
}
"""Packages of launchers and of the search, as they are installed, and the extra of each."""
LAUNCHER_NAMED = re.compile(r"Could not (?:find|load) '?hydra/launcher/(joblib|submitit)")
OWN_PACKAGES = {SEARCHER: "optuna", "hydra_plugins.recross_ray.RayTasksLauncher": "ray"}
"""What our own launchers and sweepers run on."""
HANDLERS = frozenset(("logging.StreamHandler", "logging.NullHandler"))
STREAMS = frozenset(("ext://sys.stdout", "ext://sys.stderr"))
CALLS = frozenset(("()", "class", "factory", "."))
"""Keys under which a config of logging names what it calls, or sets attributes of it."""
SHELL = ("setup", "teardown", "python", "srun_args", "additional_parameters")
"""Settings of launchers for clusters that become commands: given by who starts them, or not."""
OWN_VALUES = ("launcher", "sweeper", "searchpath", "job_logging", "hydra_logging")
GUARDED = re.compile(r"(LD_|DYLD_|PYTHON|GIT_).*|PATH|HOME|SHELL|ENV|BASH_ENV|IFS|PERL5\w*")
"""Variables that decide which code a process runs."""


def find_setting_problems(settings: Mapping[str, object], output: str) -> Iterator[str]:
    """Every problem of Hydra's node, resolved; ``output`` is where the command writes."""
    for key in OWN_VALUES:  # the others repeat what the config itself is checked for
        yield from find_secrets(settings.get(key), f"hydra.{key}")
    if settings.get("callbacks"):
        yield "hydra.callbacks: must be empty, because callbacks run any code, got some"
    yield from _find_target_problems("hydra.launcher", settings.get("launcher"), LAUNCHERS)
    yield from _find_target_problems("hydra.sweeper", settings.get("sweeper"), SWEEPERS)
    yield from _find_missing_packages(settings)
    for name in ("job_logging", "hydra_logging"):
        yield from _find_logging_problems(f"hydra.{name}", settings.get(name))
    yield from _find_call_problems("hydra", settings)
    yield from _find_shell_problems(settings)
    yield from _find_job_problems(settings)
    yield from _find_folder_problems(settings, output)


def _find_target_problems(path: str, node: object, allowed: frozenset[str]) -> Iterator[str]:
    target = node.get(TARGET) if isinstance(node, Mapping) else node
    if target not in allowed:
        names = ", ".join(sorted(name.rpartition(".")[2] for name in allowed))
        yield f"{path}.{TARGET}: must be one of {names}, got {target!r}"


def _find_missing_packages(settings: Mapping[str, object]) -> Iterator[str]:
    for kind in ("launcher", "sweeper"):
        node = settings.get(kind)
        target = str(node.get(TARGET)) if isinstance(node, Mapping) else ""
        package = OWN_PACKAGES.get(target) or ".".join(target.split(".")[:2])
        if package in NEEDED and not is_installed(package):
            yield f"hydra/{kind}: {say_needed(package)}"


def say_needed(package: str) -> str:
    """What to install for a package that is missing."""
    name, extra = NEEDED[package]
    return f"needs the package {name}; pip install 'recross[{extra}]'"


def find_needed_launcher(message: str) -> str | None:
    """What to install where Hydra did not find the option of a launcher, by what it says."""
    named = LAUNCHER_NAMED.search(message)
    package = f"hydra_plugins.hydra_{named[1]}_launcher" if named else ""
    return f"hydra/launcher: {say_needed(package)}" if package in NEEDED else None


def _find_call_problems(path: str, node: object) -> Iterator[str]:
    """Targets anywhere but where a launcher and a sweeper are named."""
    match node:
        case Mapping():
            for key, value in node.items():
                if key == TARGET and path not in ("hydra.launcher", "hydra.sweeper"):
                    yield f"{path}.{TARGET}: must not be given, because Hydra would call {value!r}"
                yield from _find_call_problems(f"{path}.{key}", value)
        case list():
            for number, value in enumerate(node):
                yield from _find_call_problems(f"{path}[{number}]", value)


def _find_logging_problems(path: str, node: object) -> Iterator[str]:
    if node is None or isinstance(node, Mapping):
        yield from _find_logging_calls(path, node)
    else:
        yield f"{path}: must be a mapping or null, got {node!r}"


def _find_logging_calls(path: str, node: object) -> Iterator[str]:
    match node:
        case Mapping():
            for key, value in node.items():
                if key in CALLS and not (key == "class" and value in HANDLERS):
                    names = ", ".join(sorted(HANDLERS))
                    yield f"{path}.{key}: must be a class of {names}, got {value!r}"
                else:
                    yield from _find_logging_calls(f"{path}.{key}", value)
        case list():
            for number, value in enumerate(node):
                yield from _find_logging_calls(f"{path}[{number}]", value)
        case str() if "://" in node and node not in STREAMS:
            yield f"{path}: must be text or one of {', '.join(sorted(STREAMS))}, got {node!r}"


def _find_shell_problems(settings: Mapping[str, object]) -> Iterator[str]:
    launcher, overrides = settings.get("launcher"), settings.get("overrides")
    given = overrides.get("hydra", []) if isinstance(overrides, Mapping) else []
    assert isinstance(given, Sequence)
    if not isinstance(launcher, Mapping):
        return
    for key in SHELL:
        path = f"hydra.launcher.{key}"
        if launcher.get(key) and not any(str(word).lstrip("+").startswith(path) for word in given):
            yield f"{path}: must be given on the command line, because it becomes a command"


def _find_job_problems(settings: Mapping[str, object]) -> Iterator[str]:
    job = settings.get("job")
    if not isinstance(job, Mapping):
        yield f"hydra.job: must be a mapping, got {job!r}"
        return
    if job.get("chdir"):
        yield "hydra.job.chdir: must be false, because paths are told from where a command starts"
    variables = job.get("env_set") or {}
    if not isinstance(variables, Mapping):
        yield f"hydra.job.env_set: must be a mapping, got {variables!r}"
        return
    yield from find_secrets(variables, "hydra.job.env_set")
    for name in variables:
        if GUARDED.fullmatch(str(name)):
            yield f"hydra.job.env_set: must not set {name}, which decides what code runs"


def _find_folder_problems(settings: Mapping[str, object], output: str) -> Iterator[str]:
    if settings.get("output_subdir") is not None:
        yield (
            "hydra.output_subdir: must be null, because a command keeps its config itself,"
            f" got {settings['output_subdir']!r}"
        )
    for key, name in (("run", "dir"), ("sweep", "dir"), ("sweep", "subdir")):
        node = settings.get(key)
        folder = node.get(name) if isinstance(node, Mapping) else None
        here, root = Path(str(folder)), Path(output)
        inner = here.relative_to(root) if here.is_relative_to(root) else here
        if folder is None or inner.is_absolute() or ".." in inner.parts:
            yield f"hydra.{key}.{name}: must lie within output={output}, got {folder!r}"
