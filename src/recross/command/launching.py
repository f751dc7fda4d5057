"""From the words of a command to jobs: every cell checked first, then Hydra runs them."""

from __future__ import annotations

import argparse
import itertools
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import hydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig

from recross.command.building import build
from recross.command.catalogue import find_config_folder
from recross.command.checking import find_config_problems
from recross.command.composition import (
    compose_config,
    compose_values,
    quote_override,
    resolve_config,
    save_config,
)
from recross.errors import ConfigError, InputError, RunError
from recross.experiment.results import read_result, write_failure

logger = logging.getLogger(__name__)


def launch(command: str, words: Sequence[str]) -> int:
    """Run an experiment command: check every cell of the sweep, then start the first.

    Returns the exit code: 1 when a cell failed.
    """
    words = [quote_override(word) for word in words]
    flags = argparse.ArgumentParser(prog=f"recross {command}", add_help=False)
    flags.add_argument("--multirun", "-m", action="store_true")
    flags.add_argument("--config-dir", "-cd")
    flags.add_argument("--cfg", "-c")
    flags.add_argument("--help", "-h", action="store_true")
    known, others = flags.parse_known_args(words)
    overrides = [word for word in others if not word.startswith("-")]
    words = [*(word for word in words if word not in overrides), *overrides]  # Hydra's flags first
    if known.cfg or known.help:
        return _run_hydra(command, words, _job)
    cells, is_sweep = _checked_cells(command, overrides, known.multirun, known.config_dir)
    return _sweep(command, words, cells) if is_sweep else _single(command, words)


def _checked_cells(
    command: str, overrides: Sequence[str], multirun: bool, extra_folder: str | None
) -> tuple[list[dict[str, Any]], bool]:
    """Compose and check every cell of the sweep before the first one starts."""
    parsed = _parsed(overrides)
    fixed = [word for o, word in zip(parsed, overrides, strict=True) if not o.is_sweep_override()]
    first = compose_config(command, fixed, extra_folder)
    swept = multirun or str(first.hydra.mode).endswith("MULTIRUN")
    given = list(overrides)
    if swept:
        named = {override.get_key_element() for override in parsed}
        params = first.hydra.sweeper.get("params") or {}
        given = [f"{k}={v}" for k, v in params.items() if k not in named] + given
    combinations = _combinations(given) if swept else [given]
    cells = [compose_values(command, cell, extra_folder) for cell in combinations]
    problems = [problem for cell in cells for problem in find_config_problems(cell)]
    if problems:
        raise ConfigError(list(dict.fromkeys(problems)))
    for cell in cells:
        build(cell)  # constructors only store and check
    _refuse_collisions(cells)
    return cells, swept


def _parsed(overrides: Sequence[str]) -> list[Override]:
    try:
        return OverridesParser.create().parse_overrides(list(overrides))
    except HydraException as error:
        raise ConfigError([str(error).splitlines()[0]]) from None


def _combinations(overrides: Sequence[str]) -> list[list[str]]:
    """The cells of a grid, as Hydra's basic sweeper makes them."""
    choices: dict[str, list[str]] = {}  # of a key given twice, the last word counts
    for override in _parsed(overrides):
        key = override.get_key_element()
        swept = override.is_discrete_sweep()
        values = (
            override.sweep_string_iterator() if swept else [override.get_value_element_as_str()]
        )
        choices[key] = [f"{key}={value}" for value in values]
    return [list(cell) for cell in itertools.product(*choices.values())]


def _refuse_collisions(cells: Sequence[dict[str, Any]]) -> None:
    places = [_folder(cell) for cell in cells if "study" in cell]
    if twice := {place for place in places if places.count(place) > 1}:
        raise ConfigError([f"name: cells of a sweep must differ in name, got {min(twice)} twice"])


def _folder(cell: dict[str, Any]) -> Path:
    return Path(cell["output"], cell["study"], cell["name"], f"seed={cell['seed']}")


def _single(command: str, words: Sequence[str]) -> int:
    failures: list[InputError | RunError] = []

    def job(cfg: DictConfig) -> None:
        try:
            _train(cfg) if command == "train" else _job(cfg)
        except (InputError, RunError) as error:
            failures.append(error)

    code = _run_hydra(command, words, job)
    if failures:
        raise failures[0]
    return code


def _sweep(command: str, words: Sequence[str], cells: Sequence[dict[str, Any]]) -> int:
    logger.info("recross: %d experiments", len(cells))
    code = _run_hydra(command, words, _train_cell if command == "train" else _cell)
    if command != "run":
        return code
    failed = 0
    for cell in cells:
        result = read_result(_folder(cell))
        if result is None or result["status"] != "done":
            failed += 1
            reason = result["error"] if result else "no result was written"
            logger.error("recross: %s failed: %s", _folder(cell), reason)
    studies = {Path(cell["output"]) / cell["study"] for cell in cells}
    for study in sorted(studies):
        if failed < len(cells):
            collate([study])
    return 1 if failed else code


def _run_hydra(command: str, words: Sequence[str], job: Callable[[DictConfig], None]) -> int:
    before = sys.argv
    sys.argv = [f"recross {command}", *words]
    try:
        decorate = hydra.main(
            version_base="1.3", config_path=str(find_config_folder()), config_name=command
        )
        decorate(job)()
    except SystemExit as stop:
        return int(stop.code or 0)
    finally:
        sys.argv = before
    return 0


def _job(cfg: DictConfig) -> None:
    """One job: build the experiment and run it."""
    values = resolve_config(cfg)
    if "study" in values:
        save_config(values, _folder(values) / "config.yaml")
    done = build(values).run()
    if isinstance(done, Path):
        logger.info("wrote %s", done)
    elif done:
        measures = "  ".join(f"{name} {value:.4f}" for name, value in done["measures"].items())
        logger.info("%s: %s", _folder(values), measures)


def _train(cfg: DictConfig) -> None:
    """One job of ``recross train``: stop at the checkpoint."""
    experiment: Any = build(resolve_config(cfg))
    logger.info("wrote %s", experiment.train_only())


def _cell(cfg: DictConfig) -> None:
    """One cell of a sweep of any command but ``train``."""
    _guarded(_job, cfg)


def _train_cell(cfg: DictConfig) -> None:
    """One cell of a sweep of ``train``."""
    _guarded(_train, cfg)


def _guarded(job: Callable[[DictConfig], None], cfg: DictConfig) -> None:
    """Run a job whose failure is recorded and does not stop the other cells."""
    try:
        job(cfg)
    except Exception as error:
        values = resolve_config(cfg)
        names = {key: values.get(key) for key in ("study", "name", "label", "seed")}
        logger.debug("cell failed", exc_info=error)
        if "study" in values:
            write_failure(_folder(values), names, error)
        else:
            logger.error("recross: %s", error)


def collate(folders: Sequence[Path], reference: Path | None = None) -> None:
    """Write tables, plots and page of finished experiments into the first folder, print the table.

    Raises:
        InputError: there is no finished experiment, or the reference file is not one.
    """
    from recross.report.page.page import write_page
    from recross.report.plots import plot_quality_latency
    from recross.report.references import reference_files
    from recross.report.tables.rows import find_finished, make_rows, read_references
    from recross.report.tables.table import markdown, write_table

    finished = find_finished(folders)
    results = [one.record for one in finished]
    studies = {folder.name for folder in folders} | {result["study"] for result in results}
    files = [reference] if reference else reference_files()
    rows = make_rows(results, read_references(files, studies))
    if not rows:
        raise InputError(f"no finished experiment under {', '.join(map(str, folders))}")
    written = [*write_table(rows, folders[0]), *plot_quality_latency(rows, folders[0])]
    written.append(write_page(rows, finished, folders[0]))
    sys.stdout.write(markdown(rows))
    logger.info("wrote %s", ", ".join(map(str, written)))
