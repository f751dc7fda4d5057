"""What ``conf/`` offers: commands, options, what each says of itself, what each loads."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from recross.errors import InputError

COMMANDS = ("run", "retrieve", "mine", "train", "rerank", "choose")
"""Commands that Hydra composes: each has a file of its own."""


def find_config_folder() -> Path:
    """The folder of the shipped configs: the checkout's, or the installed package's own."""
    package = Path(__file__).parents[1]
    checkout = package.parents[1] / "conf"
    return checkout if (checkout / "run.yaml").is_file() else package / "conf"


def read_target(path: Path) -> object:
    """The class that a config names at its root; ``None`` where it names none.

    Raises:
        InputError: the file is no config.
    """
    try:
        config = OmegaConf.load(path)
    except (OSError, ValueError, YAMLError, OmegaConfBaseException) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path} must be a config in YAML, got {reason[:200]}") from None
    return config.get("_target_") if isinstance(config, DictConfig) else None


@cache
def list_options(extra_folders: Sequence[Path] = ()) -> dict[str, list[str]]:
    """Every group of the shipped configs, and of a tuple of other folders, with its options."""
    by_group: dict[str, set[str]] = {}
    for folder in (find_config_folder(), *extra_folders):
        for group in folder.iterdir():
            if group.is_dir() and group.name != "hydra":
                options = (path.relative_to(group) for path in group.rglob("*.yaml"))
                names = {option.with_suffix("").as_posix() for option in options}
                by_group.setdefault(group.name, set()).update(names)
    return {group: sorted(by_group[group]) for group in sorted(by_group)}


def list_hydra_options() -> dict[str, list[str]]:
    """Our own options of Hydra's groups: launchers, the search and its samplers."""
    folder = find_config_folder()
    by_group: dict[str, list[str]] = {}
    for path in sorted((folder / "hydra").rglob("*.yaml")):
        group = path.parent.relative_to(folder).as_posix()
        by_group.setdefault(group, []).append(path.stem)
    return by_group


def read_summary(group: str, name: str, extra_folders: Sequence[Path] = ()) -> str:
    """What an option says of itself: the comment in the first line of its file.

    Of several files of this name, it is the one that Hydra composes: ours, else the first.
    """
    paths = (folder / group / f"{name}.yaml" for folder in (find_config_folder(), *extra_folders))
    path = next(path for path in paths if path.is_file())
    first = next(
        (line for line in path.read_text(encoding="utf-8").splitlines() if "@package" not in line),
        "",
    )
    return first.removeprefix("#").strip() if first.startswith("#") else ""


@cache
def group_options_by_checkpoint(
    groups: tuple[str, ...] = ("reranker", "retriever"),
) -> dict[str, list[str]]:
    """Every checkpoint that options of some groups load, with the names of these options."""
    grouped: dict[str, list[str]] = {}
    for group in groups:
        for name in list_options()[group]:
            if (checkpoint := _find_checkpoint(group, name)) is not None:
                grouped.setdefault(checkpoint, []).append(name)
    return grouped


def _find_checkpoint(group: str, option: str) -> str | None:
    """The checkpoint that an option states, or the option whose difference it holds."""
    file = OmegaConf.load(find_config_folder() / group / f"{option}.yaml")
    values = OmegaConf.to_container(file, resolve=False)
    assert isinstance(values, dict)
    for place in (values, values.get("generator")):
        if isinstance(place, dict) and "checkpoint" in place:
            return str(place["checkpoint"])
    starts = [
        start
        for start in values.get("defaults", [])
        if isinstance(start, str) and start != "_self_"
    ]
    return _find_checkpoint(group, starts[0]) if starts else None
