"""What ``conf/`` offers: commands, options, what each says of itself, what each loads."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from omegaconf import OmegaConf

COMMANDS = ("run", "retrieve", "train", "rerank")
"""Commands that Hydra composes: each has a file of its own."""


def find_config_folder() -> Path:
    """The folder of the shipped configs: the checkout's, or the installed package's own."""
    package = Path(__file__).parents[1]
    checkout = package.parents[1] / "conf"
    return checkout if (checkout / "run.yaml").is_file() else package / "conf"


@cache
def list_options() -> dict[str, list[str]]:
    """Every group of the shipped configs and the options it offers."""
    return {
        folder.name: sorted(
            path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.yaml")
        )
        for folder in sorted(find_config_folder().iterdir())
        if folder.is_dir() and folder.name != "hydra"
    }


def read_summary(group: str, name: str) -> str:
    """What an option says of itself: the comment in the first line of its file."""
    path = find_config_folder() / group / f"{name}.yaml"
    first = next(
        line for line in path.read_text(encoding="utf-8").splitlines() if "@package" not in line
    )
    return first.removeprefix("#").strip() if first.startswith("#") else ""


@cache
def group_rerankers_by_checkpoint() -> dict[str, list[str]]:
    """Every checkpoint that a re-ranker option loads, with the names of these options."""
    grouped: dict[str, list[str]] = {}
    for name in list_options()["reranker"]:
        if (checkpoint := _find_checkpoint(name)) is not None:
            grouped.setdefault(checkpoint, []).append(name)
    return grouped


def _find_checkpoint(option: str) -> str | None:
    """The checkpoint that a re-ranker option states, or the option whose difference it holds."""
    file = OmegaConf.load(find_config_folder() / "reranker" / f"{option}.yaml")
    values = OmegaConf.to_container(file, resolve=False)
    assert isinstance(values, dict)
    if "checkpoint" in values:
        return str(values["checkpoint"])
    starts = [one for one in values.get("defaults", []) if isinstance(one, str) and one != "_self_"]
    return _find_checkpoint(starts[0]) if starts else None
