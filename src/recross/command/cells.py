"""The cells of a sweep: composed, checked and built before the first one starts."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from recross.command.building import build
from recross.command.composition import (
    compose_config,
    compose_values,
    find_extra_folders,
    resolve_config,
)
from recross.command.hydra_settings import SEARCHER
from recross.command.overrides import expand_globs, parse_overrides, quote_override
from recross.command.search_space import SearchSpace
from recross.command.signatures import Node
from recross.errors import ConfigError
from recross.experiment.place import Command

ELSEWHERE = ("SlurmLauncher", "RayTasksLauncher")
"""Launchers whose cells run on other machines, with devices of their own."""


class Cells(NamedTuple):
    """What the overrides ask for, checked and built.

    ``folder`` is that of a sweep. ``search`` is the folder of a search, whose cells are made as it
    goes and checked then, too; ``commands`` are those at the edges of what it may try.
    """

    commands: list[Command]
    is_sweep: bool
    folder: Path
    search: Path | None = None


def check_cells(
    command: str | Path, overrides: Sequence[str], multirun: bool, extra_folder: str | None
) -> Cells:
    """Build every cell that the overrides ask for; of a search, each value at its bounds.

    Raises:
        ConfigError: with the problems of all cells, or two cells would write to one place.
    """
    overrides = [quote_override(word) for word in overrides]
    folders = find_extra_folders(overrides, extra_folder)
    overrides = expand_globs(overrides, folders)
    parsed = parse_overrides(overrides)
    fixed = [word for o, word in zip(parsed, overrides, strict=True) if not o.is_sweep_override()]
    composed = compose_config(command, fixed, extra_folder)
    hydra = composed.hydra
    is_sweep = multirun or str(hydra.mode).endswith("MULTIRUN")
    is_search = is_sweep and hydra.sweeper.get("_target_") == SEARCHER
    if is_sweep:
        named = {override.get_key_element() for override in parsed}
        params = hydra.sweeper.get("params") or {}
        given = [f"{key}={value}" for key, value in params.items() if key not in named]
        varied = [*expand_globs(given, folders), *overrides]
        grid = SearchSpace.read(varied).list_edges() if is_search else _combine(varied)
        make_cells = [partial(compose_values, command, words, extra_folder) for words in grid]
    elif fixed == list(overrides):
        make_cells = [partial(resolve_config, composed)]
    else:  # several values for one run, which Hydra refuses
        make_cells = [partial(compose_values, command, overrides, extra_folder)]
    commands = _build_cells(make_cells)
    _refuse_lacks(commands, str(hydra.launcher.get("_target_")).endswith(ELSEWHERE))
    folder = Path(str(hydra.sweep.dir))
    if is_search:
        return Cells(commands, is_sweep, folder, search=folder)
    _refuse_collisions(commands)
    return Cells(commands, is_sweep, folder)


def _build_cells(make_cells: Sequence[Callable[[], Node]]) -> list[Command]:
    """Build every cell; constructors only store and check.

    Raises:
        ConfigError: with the problems of all of them, each once.
    """
    commands: list[Command] = []
    problems: dict[str, None] = {}
    for make_cell in make_cells:
        try:
            commands.append(build(make_cell()))
        except ConfigError as error:
            problems |= dict.fromkeys(error.problems)
    if problems:
        raise ConfigError(list(problems))
    return commands


def _refuse_lacks(commands: Sequence[Command], is_elsewhere: bool) -> None:
    """Refuse cells that would not find what they need; those that are finished need nothing."""
    lacks = [
        lack
        for command in commands
        if (found := command.needs.find_lacks(is_elsewhere)) and not command.place.is_finished()
        for lack in found
    ]
    if lacks:
        raise ConfigError(list(dict.fromkeys(lacks)))


def _combine(words: Sequence[str]) -> Iterator[list[str]]:
    """The overrides of every cell of a grid, as Hydra's basic sweeper makes them."""
    choices: dict[str, list[str]] = {}  # of a key given twice, the last word counts
    for override in parse_overrides(words):
        key = override.get_key_element()
        if override.is_interval_sweep():
            raise ConfigError(
                [
                    f"{key}: must be a list of values, or be searched by hydra/sweeper=optuna, got"
                    f" the interval {override.get_value_string()}"
                ]
            )
        swept = override.is_discrete_sweep()
        values = (
            override.sweep_string_iterator() if swept else [override.get_value_element_as_str()]
        )
        choices[key] = [f"{key}={value}" for value in values]
    return map(list, itertools.product(*choices.values()))


def _refuse_collisions(commands: Sequence[Command]) -> None:
    results = [command.place.result for command in commands]
    if twice := {result for result in results if results.count(result) > 1}:
        raise ConfigError(
            [
                f"cells of a sweep must differ in what they write, got {min(twice)} twice;"
                " name (run, train, choose) and run_file (retrieve, mine, rerank) say where"
            ]
        )
