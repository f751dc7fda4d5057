"""From the words of a command to jobs: every cell checked first, then Hydra runs them."""

from __future__ import annotations

import argparse
import logging
import shlex
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import hydra
from hydra.errors import HydraException
from omegaconf import DictConfig

from recross.command.choosing import measure_apart, write_advice
from recross.command.composition import (
    add_option_folders,
    refuse_groups_twice,
    resolve_config,
    save_config,
)
from recross.command.failures import describe_fault, explain, set_variable, show_traceback
from recross.command.messages import send_messages_to_stderr
from recross.command.output import ClosedOutputError
from recross.command.overrides import quote_override
from recross.command.saved import locate_primary, take_saved
from recross.command.signatures import Node
from recross.errors import InputError
from recross.parts.closest import say_unknown
from recross.records import JsonObject

if TYPE_CHECKING:
    from recross.experiment.commands import Command

logger = logging.getLogger(__name__)

FLAGS = ("--multirun", "--config-dir", "--cfg", "--package", "--resolve", "--help")
"""Of Hydra's own; others run what lies in files, or compose another config."""

HydraJob = Callable[[DictConfig], None]
StartHydra = Callable[[HydraJob], int]
"""Hydra with what it begins with and is told, yet to be given what it runs."""


def launch(command: str, words: Sequence[str]) -> int:
    """Run an experiment command: check every cell of the sweep, then start the first.

    Returns the exit code: 1 when a cell failed.
    """
    saved, words = take_saved(words, command)
    start = command if saved is None else saved
    words = [quote_override(word) for word in words]
    flags = argparse.ArgumentParser(
        prog=f"recross {command}", add_help=False, allow_abbrev=False, exit_on_error=False
    )
    flags.add_argument("--multirun", "-m", action="store_true")
    flags.add_argument("--config-dir", "-cd")
    flags.add_argument("--cfg", "-c")
    flags.add_argument("--package", "-p")
    flags.add_argument("--resolve", action="store_true")
    flags.add_argument("--help", "-h", action="store_true")
    try:
        known, overrides = flags.parse_known_args(words)
    except argparse.ArgumentError as error:
        raise InputError(f"{command}: {error}") from None
    if unknown := [word for word in overrides if word.startswith("-")]:
        raise InputError(say_unknown("flags", unknown[0], FLAGS))
    refuse_groups_twice(overrides, known.config_dir)
    flags_first = [word for word in words if word not in overrides]
    overrides = add_option_folders(overrides)
    words = [*flags_first, *overrides]
    if known.cfg or known.help:
        return _run_hydra(command, saved, words, run_cell)  # which shows, and runs nothing
    from recross.command.cells import check_cells  # brings torch

    cells, is_sweep = check_cells(start, overrides, known.multirun, known.config_dir)
    for cell in cells:
        cell.place.forget_failure()
    start_hydra = partial(_run_hydra, command, saved, words)
    if not is_sweep:
        return _run_single(start_hydra)
    chooses = command == "choose"
    run, collate = (run_apart, write_advice) if chooses else (run_cell, _collate_studies)
    return _sweep(partial(start_hydra, run), cells, collate)


def run_cell(cfg: DictConfig) -> None:
    """Run one cell of a sweep, here or in a process that a launcher started.

    A failure is recorded in a file, which every launcher leaves, and does not stop other cells.
    """
    from recross.command.building import build

    send_messages_to_stderr()
    values = resolve_config(cfg)
    cell: Command = build(values)
    named = ("study", "name", "label", "seed")
    names: JsonObject = {key: values[key] for key in named if key in values}
    try:
        with cell.place.alone():  # a failure is recorded before another process begins
            _run_or_record(cell, values, names)
    except InputError as error:  # there is no lock to be had
        cell.place.record_failure(names, error)


def run_apart(cfg: DictConfig) -> None:
    """Run one cell in a new process, here or where a launcher started this one."""
    send_messages_to_stderr()
    measure_apart(resolve_config(cfg))


def _run_or_record(cell: Command, values: Node, names: JsonObject) -> None:
    try:
        _run(cell, values)
    except Exception as error:  # noqa: BLE001  # it is recorded, and other cells go on
        show_traceback(error)
        cell.place.record_failure(names, explain(error) or describe_fault(error))


def _run(command: Command, values: Node) -> None:
    with command.place.alone():
        save_config(values, command.place.config)
        command.run()
        logger.info("%s", command.summary)


def _run_single(start_hydra: StartHydra) -> int:
    from recross.command.building import build

    failures: list[Exception] = []

    def job(cfg: DictConfig) -> None:
        values = resolve_config(cfg)
        try:
            _run(build(values), values)
        except Exception as error:  # noqa: BLE001  # Hydra would print it in its own way
            failures.append(error)

    code = start_hydra(job)
    if failures:
        raise failures[0]
    return code


def _sweep(
    run_cells: Callable[[], int],
    cells: Sequence[Command],
    collate: Callable[[Sequence[Command]], None],
) -> int:
    logger.info("recross: %d cells", len(cells))
    code = run_cells()
    failed = 0
    for cell in cells:
        if (reason := cell.place.find_failure()) is not None:
            failed += 1
            logger.error("recross: %s failed: %s", cell.place.result, reason)
    if failed < len(cells):
        collate(cells)
    return 1 if failed else code


def _collate_studies(cells: Sequence[Command]) -> None:
    from recross.report.collation import collate

    studies = {cell.place.study for cell in cells}
    closed: ClosedOutputError | None = None
    for study in sorted(study for study in studies if study is not None):
        try:
            collate([study])
        except ClosedOutputError as error:  # the files of the other studies are still to be written
            closed = error
    if closed is not None:
        raise closed


def _run_hydra(command: str, saved: Path | None, words: Sequence[str], job: HydraJob) -> int:
    before = sys.argv
    beginning = f" --from {shlex.quote(str(saved))}" if saved is not None else ""
    sys.argv = [f"recross {command}{beginning}", *words]
    try:
        folder, name = locate_primary(command if saved is None else saved)
        decorate = hydra.main(version_base="1.3", config_path=folder, config_name=name)
        with set_variable("HYDRA_FULL_ERROR", "1"):  # hand errors on, and do not print them
            decorate(job)()
    except SystemExit as stop:
        return int(stop.code or 0)
    except HydraException as error:
        raise InputError(" ".join(str(error).split())) from error
    finally:
        sys.argv = before
    return 0
