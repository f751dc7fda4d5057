"""From the words of a command to jobs: every cell checked first, then Hydra runs them."""

from __future__ import annotations

import argparse
import logging
import shlex
import sys
from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from recross.command.cell_place import at_cell, count_cells
from recross.command.choosing import measure_apart, write_advice
from recross.command.composition import (
    add_option_folders,
    find_extra_folders,
    refuse_groups_twice,
    resolve_config,
    save_config,
)
from recross.command.failures import describe_fault, explain, set_variable, show_traceback
from recross.command.hydra_settings import SEARCHER
from recross.command.messages import send_messages_to_stderr
from recross.command.output import ClosedOutputError
from recross.command.overrides import expand_globs, quote_override
from recross.command.saved import locate_primary, take_saved
from recross.command.signatures import Node
from recross.errors import InputError
from recross.parts.closest import say_unknown
from recross.records import JsonObject
from recross.writing.progress import end_live_line, working

if TYPE_CHECKING:
    from recross.experiment.place import Command

logger = logging.getLogger(__name__)

FLAGS = ("--multirun", "--config-dir", "--cfg", "--package", "--resolve", "--info", "--help")
"""Of Hydra's own; others run what lies in files, or compose another config."""

INFO = ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")
"""What ``--info`` tells: all, or one of these."""

HydraJob = Callable[[DictConfig], float | None]
StartHydra = Callable[[HydraJob], int]
"""Hydra with what it begins with and is told, yet to be given what it runs."""


def launch(command: str, words: Sequence[str]) -> int:
    """Run an experiment command: check every cell of the sweep, then start the first.

    Returns the exit code: 1 when a cell failed.
    """
    saved, words = take_saved(words, command)
    start = command if saved is None else saved
    words = [quote_override(word) for word in words]
    known, overrides = _parse_flags(command, words)
    refuse_groups_twice(overrides, known.config_dir)
    flags_first = [word for word in words if word not in overrides]
    overrides = expand_globs(overrides, find_extra_folders(overrides, known.config_dir))
    overrides = add_option_folders(overrides)
    if known.cfg or known.help or known.info or known.hydra_help:  # which Hydra shows of one cell
        flags_first = [word for word in flags_first if word not in ("-m", "--multirun")]
        mode = ["hydra.mode=MULTIRUN"] * known.multirun
        return _run_hydra(command, saved, [*flags_first, *overrides, *mode], run_cell)
    words = [*flags_first, *overrides]
    with working(f"recross {command}, loading and checking"):
        from recross.command.cells import check_cells  # brings torch
        from recross.experiment.sweep_record import record_sweep

        checked = check_cells(start, overrides, known.multirun, known.config_dir)
    cells, is_sweep, folder, search = checked
    start_hydra = partial(_run_hydra, command, saved, words)
    if search is not None:
        return _search(start_hydra, search)
    for cell in cells:
        cell.place.forget_failure()
    if not is_sweep:
        return _run_single(start_hydra)
    record_sweep(folder, [cell.place for cell in cells])
    return _sweep(start_hydra, cells, chooses=command == "choose")


def _parse_flags(command: str, words: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Hydra's flags, and the other words, which are overrides."""
    flags = argparse.ArgumentParser(
        prog=f"recross {command}", add_help=False, allow_abbrev=False, exit_on_error=False
    )
    flags.add_argument("--multirun", "-m", action="store_true")
    flags.add_argument("--config-dir", "-cd")
    flags.add_argument("--cfg", "-c")
    flags.add_argument("--package", "-p")
    flags.add_argument("--resolve", action="store_true")
    flags.add_argument("--info", "-i", nargs="?", const="all", choices=INFO)
    flags.add_argument("--hydra-help", action="store_true")
    flags.add_argument("--help", "-h", action="store_true")
    try:
        known, overrides = flags.parse_known_args(words)
    except argparse.ArgumentError as error:
        raise InputError(f"{command}: {error}") from None
    if unknown := [word for word in overrides if word.startswith("-")]:
        raise InputError(say_unknown("flags", unknown[0], FLAGS))
    return known, overrides


def run_cell(cfg: DictConfig) -> float | None:
    """Run one cell of a sweep, here or in a process that a launcher started.

    A failure is recorded in a file, which every launcher leaves, and does not stop other cells.
    Returns the measure on dev where a search asks for it.
    """
    from recross.command.building import build

    send_messages_to_stderr()
    is_trial = HydraConfig.initialized() and HydraConfig.get().sweeper.get("_target_") == SEARCHER
    values = resolve_config(cfg)
    cell: Command = build(values)
    named = ("study", "name", "label", "seed")
    names: JsonObject = {key: values[key] for key in named if key in values}
    with at_cell("trial" if is_trial else "cell", cell.place.result):
        try:
            with cell.place.alone():  # a failure is recorded before another process begins
                return _run_or_record(cell, values, names, is_trial)
        except InputError as error:  # there is no lock to be had
            cell.place.record_failure(names, error)
    return None


def run_apart(cfg: DictConfig) -> None:
    """Run one cell in a new process, here or where a launcher started this one."""
    send_messages_to_stderr()
    values = resolve_config(cfg)
    end_live_line()  # the other process says what goes on
    with at_cell("choice", values["name"]):
        measure_apart(values)


def _run_or_record(cell: Command, values: Node, names: JsonObject, is_trial: bool) -> float | None:
    try:
        _run(cell, values)
        return cell.measure_dev() if is_trial else None
    except Exception as error:  # noqa: BLE001  # it is recorded, and other cells go on
        show_traceback(error)
        cell.place.record_failure(names, explain(error) or describe_fault(error))
    return None


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


def _sweep(start_hydra: StartHydra, cells: Sequence[Command], chooses: bool) -> int:
    logger.info("recross: %d cells", len(cells))
    with count_cells(len(cells)):
        code = start_hydra(run_apart if chooses else run_cell)
    failed = 0
    for cell in cells:
        if (reason := cell.place.find_failure()) is not None:
            failed += 1
            logger.error("recross: %s failed: %s", cell.place.result, reason)
    if failed < len(cells):
        with working("comparing the cells"):
            (write_advice if chooses else _collate_studies)(cells)
    return 1 if failed else code


def _search(start_hydra: StartHydra, folder: Path) -> int:
    from recross.command.searching import describe_search, read_search

    code = start_hydra(run_cell)
    record = read_search(folder)
    tried: Sequence[JsonObject] = record["trials"]
    measured = [trial for trial in tried if trial["value"] is not None]
    _collate({Path(trial["study"]) for trial in measured if trial["study"]})
    logger.info("%s", describe_search(folder, record))
    return 1 if len(measured) < len(tried) else code


def _collate_studies(cells: Sequence[Command]) -> None:
    _collate({cell.place.study for cell in cells if cell.place.study is not None})


def _collate(studies: Collection[Path]) -> None:
    from recross.report.collation import collate

    closed: ClosedOutputError | None = None
    for study in sorted(studies):
        try:
            collate([study])
        except ClosedOutputError as error:  # the files of the other studies are still to be written
            closed = error
    if closed is not None:
        raise closed


def _run_hydra(command: str, saved: Path | None, words: Sequence[str], job: HydraJob) -> int:
    before = sys.argv
    own = logging.getLogger().handlers[:] if "--info" in words else []
    for handler in own:  # Hydra tells it through one of its own
        logging.getLogger().removeHandler(handler)
    beginning = f" --from {shlex.quote(str(saved))}" if saved is not None else ""
    sys.argv = [f"recross {command}{beginning}", *words]
    try:
        folder, name = locate_primary(command if saved is None else saved)
        decorate = hydra.main(version_base="1.3", config_path=folder, config_name=name)
        with set_variable("HYDRA_FULL_ERROR", "1"):  # hand errors on, and do not print them
            decorate(job)()
    except SystemExit as stop:
        return int(stop.code or 0)
    except (HydraException, OmegaConfBaseException) as error:
        raise InputError(" ".join(str(error).split())) from error
    finally:
        sys.argv = before
        for handler in own:
            logging.getLogger().addHandler(handler)
    return 0
