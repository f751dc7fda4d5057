"""The commands that take plain arguments and no config.

Each imports what it needs when it runs, so that ``recross options`` imports no torch.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from recross.command.catalogue import list_hydra_options, list_options, read_summary
from recross.errors import InputError
from recross.parts.closest import say_unknown


def _table(words: Sequence[str]) -> int:
    from recross.command.evaluating import add_latex_arguments
    from recross.report.checking import check, write_reference
    from recross.report.collation import collate
    from recross.report.tables.latex import LatexStyle

    parser = argparse.ArgumentParser(prog="recross table")
    parser.add_argument("folders", nargs="+", type=Path, metavar="DIR")
    parser.add_argument("--reference", type=Path, help="CSV of reference values")
    parser.add_argument(
        "--check", action="store_true", help="exit 1 when a reference value is missed"
    )
    parser.add_argument(
        "--write-reference", action="store_true", help="keep what was measured as reference values"
    )
    parser.add_argument(
        "--tolerance", type=float, default=0.02, help="of the measures that are kept"
    )
    add_latex_arguments(parser)
    arguments = parser.parse_args(words)
    if arguments.write_reference:
        write_reference(arguments.folders, arguments.tolerance, arguments.reference)
    style = LatexStyle(arguments.intervals, arguments.caption, arguments.label)
    collate(arguments.folders, arguments.reference, style)
    return 1 if arguments.check and not check(arguments.folders, arguments.reference) else 0


def _evaluate(words: Sequence[str]) -> int:
    from recross.command.evaluating import evaluate_run_files

    say(evaluate_run_files(words))
    return 0


def _compare(words: Sequence[str]) -> int:
    from recross.evaluation.measures import check_measures
    from recross.report.tables.comparison import format_comparison, list_pairs
    from recross.report.tables.row_evaluations import read_row_evaluations

    parser = argparse.ArgumentParser(prog="recross compare")
    parser.add_argument("folders", nargs="+", type=Path, metavar="DIR")
    parser.add_argument("--rows", nargs="+", default=[], metavar="PATTERN", help="labels, or *")
    parser.add_argument("--measures", nargs="+", default=["MRR@10"])
    parser.add_argument("--all-pairs", action="store_true", help="not only against the first row")
    arguments = parser.parse_args(words)
    check_measures(arguments.measures)
    evaluations = read_row_evaluations(arguments.folders, arguments.measures, arguments.rows)
    pairs = list_pairs(list(evaluations), arguments.all_pairs)
    say(format_comparison(evaluations, arguments.measures, pairs))
    return 0


def _options(words: Sequence[str]) -> int:
    from recross.command.composition import find_extra_folders

    parser = argparse.ArgumentParser(prog="recross options")
    parser.add_argument("words", nargs="*", metavar="GROUP", help="or plugins=[my_package]")
    parser.add_argument("--config-dir", "-cd", metavar="DIR", help="a folder of your own options")
    arguments = parser.parse_args(words)
    if arguments.config_dir and not Path(arguments.config_dir).is_dir():
        raise InputError(f"--config-dir must be a folder, got {arguments.config_dir!r}")
    plugins = [word for word in arguments.words if word.startswith("plugins=")]
    folders = tuple(find_extra_folders(plugins, arguments.config_dir))
    options = list_options(folders) | list_hydra_options()
    groups = [word for word in arguments.words if word not in plugins] or list(options)
    if unknown := [group for group in groups if group not in options]:
        raise InputError(say_unknown("group", unknown[0], options))
    for group in groups:
        say(group)
        for name in options[group]:
            say(f"  {name:<20} {read_summary(group, name, folders)}")
    return 0


def _contracts(words: Sequence[str]) -> int:
    from recross.command.catalogue import group_options_by_checkpoint
    from recross.report.tables.contracts_table import format_contracts, wrap_contracts

    parser = argparse.ArgumentParser(prog="recross contracts")
    parser.add_argument(
        "--check", action="store_true", help="score golden pairs with the checkpoints at hand"
    )
    parser.add_argument("--golden", type=Path, help="CSV of golden scores of your own")
    arguments = parser.parse_args(words)
    if arguments.check or arguments.golden:
        return _check_golden(arguments.golden)
    options = group_options_by_checkpoint()
    if sys.stdout.isatty():  # some templates have thousands of characters
        say(wrap_contracts(options, min(shutil.get_terminal_size().columns, 120)))
    else:
        say(format_contracts(options))
    return 0


def _check_golden(path: Path | None) -> int:
    from recross.command.golden import (
        check_golden,
        format_golden,
        list_published_golden,
        read_golden,
    )

    verdicts = check_golden(list_published_golden() if path is None else read_golden(path))
    say(format_golden(verdicts))
    return 1 if any(verdict.verdict == "missed" for verdict in verdicts) else 0


def _parity(words: Sequence[str]) -> int:
    from recross.command.parity import format_probe, parse_and_probe

    parity = parse_and_probe(words)
    say(format_probe(parity))
    return 0 if parity.agreement.agrees else 1


def _pack(words: Sequence[str]) -> int:
    from recross.command.packing import pack_experiment

    say(pack_experiment(words))
    return 0


def _export(words: Sequence[str]) -> int:
    from recross.command.exporting import export_reranker

    say(export_reranker(words))
    return 0


def _doctor(words: Sequence[str]) -> int:
    from recross.inference.encoders.kernels import describe_kernels
    from recross.machine.diagnosis import diagnose

    argparse.ArgumentParser(prog="recross doctor").parse_args(words)
    say(diagnose(kernels=describe_kernels()))
    return 0


def _cache(words: Sequence[str]) -> int:
    from recross.inference.cache import score_cache
    from recross.store import DEFAULT_STORE

    parser = argparse.ArgumentParser(prog="recross cache")
    parser.add_argument("action", choices=["stats", "clear", "verify"])
    parser.add_argument("path", nargs="?", type=Path, default=DEFAULT_STORE / "scores")
    parser.add_argument("--repair", action="store_true", help="verify: drop damaged entries")
    arguments = parser.parse_args(words)
    if arguments.action == "stats":
        counts = score_cache.count_scores(arguments.path)
        say(f"{arguments.path}: {counts.entries:,} scores, {counts.bytes / 1e6:,.1f} MB")
        for scorer, entries in counts.scorers.items():
            say(f"  {scorer}  {entries:,}")
        return 0
    if arguments.action == "clear":
        say(f"{arguments.path}: {score_cache.clear(arguments.path) / 1e6:,.1f} MB freed")
        return 0
    bad = score_cache.verify(arguments.path, arguments.repair)
    dropped = " dropped" if bad and arguments.repair else ""
    say(f"{arguments.path}: {bad} damaged entries{dropped}")
    return 1 if bad and not arguments.repair else 0


def _push(words: Sequence[str]) -> int:
    from recross.command.pushing import push_checkpoint

    say(push_checkpoint(words))
    return 0


def _completion(words: Sequence[str]) -> int:
    from recross.command.completion import complete_or_install

    say(complete_or_install(words))
    return 0


def _store(words: Sequence[str]) -> int:
    from recross.command.storing import run_store_command

    text, code = run_store_command(words)
    say(text)
    return code


def _status(words: Sequence[str]) -> int:
    from recross.command.standing import describe_sweep

    text, code = describe_sweep(words)
    say(text)
    return code


def say(text: str) -> None:
    """Print what a command says, with one line break after it."""
    sys.stdout.write(text.rstrip("\n") + "\n")


PLAIN_COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "evaluate": _evaluate,
    "table": _table,
    "compare": _compare,
    "options": _options,
    "contracts": _contracts,
    "parity": _parity,
    "pack": _pack,
    "export": _export,
    "doctor": _doctor,
    "cache": _cache,
    "store": _store,
    "completion": _completion,
    "push": _push,
    "status": _status,
}
"""What each of them does with its arguments, returning the exit code."""
