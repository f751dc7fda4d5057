"""The cells of a sweep: composed, checked and built before the first one starts."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from recross.command.building import build
from recross.command.composition import (
    compose_config,
    compose_values,
    resolve_config,
)
from recross.command.overrides import parse_overrides, quote_override
from recross.command.signatures import Node
from recross.errors import ConfigError
from recross.experiment.commands import Command


def check_cells(
    command: str | Path, overrides: Sequence[str], multirun: bool, extra_folder: str | None
) -> tuple[list[Command], bool]:
    """Build every cell that the overrides ask for; also say whether they are those of a sweep.

    Raises:
        ConfigError: with the problems of all cells, or two cells would write to one place.
    """
    overrides = [quote_override(word) for word in overrides]
    parsed = parse_overrides(overrides)
    fixed = [word for o, word in zip(parsed, overrides, strict=True) if not o.is_sweep_override()]
    composed = compose_config(command, fixed, extra_folder)
    hydra = composed.hydra
    is_sweep = multirun or str(hydra.mode).endswith("MULTIRUN")
    if is_sweep:
        named = {override.get_key_element() for override in parsed}
        params = hydra.sweeper.get("params") or {}
        given = [f"{key}={value}" for key, value in params.items() if key not in named]
        grid = _combine([*given, *overrides])
        make_cells = [partial(compose_values, command, words, extra_folder) for words in grid]
    elif fixed == list(overrides):
        make_cells = [partial(resolve_config, composed)]
    else:  # several values for one run, which Hydra refuses
        make_cells = [partial(compose_values, command, overrides, extra_folder)]
    commands = _build_cells(make_cells)
    _refuse_collisions(commands)
    return commands, is_sweep


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


def _combine(words: Sequence[str]) -> Iterator[list[str]]:
    """The overrides of every cell of a grid, as Hydra's basic sweeper makes them."""
    choices: dict[str, list[str]] = {}  # of a key given twice, the last word counts
    for override in parse_overrides(words):
        key = override.get_key_element()
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
                " name (run, train, choose) and run_file (retrieve, rerank) say where"
            ]
        )
