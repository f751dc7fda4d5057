"""The console script.

Each command imports what it needs when it runs, so that ``recross options`` imports no torch.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from recross.command.catalogue import COMMANDS, list_options, read_summary
from recross.command.failures import DEBUG, check_surroundings, guard, set_variable
from recross.command.interruption import turn_signals_into_interruptions
from recross.command.messages import send_messages_to_stderr
from recross.command.output import deliver_output, prepare_streams
from recross.errors import InputError

USAGE = """usage: recross COMMAND [arguments]

experiments (Hydra overrides; -m sweeps, --config-dir DIR adds your own configs)
  run        one experiment, or a named study:  recross run experiment=performance_table
  retrieve   the first stage only, writes a TREC run
  train      up to the checkpoint
  rerank     re-rank any TREC run:  recross rerank reranker=minilm_l6 candidates=bm25.trec
results
  evaluate   measures of run files, with significance:  recross evaluate RUN... --qrels FILE
  table      collate finished experiments:  recross table DIR... [--check against references]
  compare    rows of tables with each other:  recross compare DIR... --rows ROW...
about
  options    what every group offers, or one:  recross options reranker plugins=[my_package]
  contracts  what published checkpoints are asked, how they are read, and their published numbers
  parity     whether a served model scores as one here:  recross parity reranker.base_url=URL ...
  doctor     what this machine has, and what is missing for which option
  store      what the store holds; is it sound; what can go:  recross store list|verify|gc|why
  cache      what the score cache holds; forget it; check it:  recross cache stats|clear|verify

--debug, or RECROSS_DEBUG=1 in the environment, shows where an error came from
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command, and return its exit code.

    0 done, 1 a check or a cell of a sweep failed or the machine stopped it, 2 the input was wrong,
    70 a fault of recross itself; 128 and the signal's number where a signal ended it, as 130.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    prepare_streams()
    send_messages_to_stderr()
    with (
        turn_signals_into_interruptions(),
        set_variable(DEBUG, "1" if "--debug" in words else os.environ.get(DEBUG)),
    ):
        return guard(lambda: _run([word for word in words if word != "--debug"]))


def _run(words: Sequence[str]) -> int:
    check_surroundings(words)
    with deliver_output():
        try:
            return _run_command(words)
        except SystemExit as stop:  # of an argument parser, which has said why
            return stop.code if isinstance(stop.code, int) else 0
    raise AssertionError("every way out is above")


def _run_command(words: Sequence[str]) -> int:
    if not words or words[0] in ("-h", "--help"):
        _say(USAGE)
        return 0 if words else 2
    command, rest = words[0], words[1:]
    if command in COMMANDS:
        from recross.command.launching import launch

        return launch(command, rest)
    if command in _PLAIN:
        return _PLAIN[command](rest)
    raise InputError(f"command must be one of {', '.join([*COMMANDS, *_PLAIN])}, got {command!r}")


def _table(words: Sequence[str]) -> int:
    from recross.report.checking import check, write_reference
    from recross.report.collation import collate

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
    arguments = parser.parse_args(words)
    if arguments.write_reference:
        write_reference(arguments.folders, arguments.tolerance, arguments.reference)
    collate(arguments.folders, arguments.reference)
    return 1 if arguments.check and not check(arguments.folders, arguments.reference) else 0


def _evaluate(words: Sequence[str]) -> int:
    from recross.command.evaluating import evaluate_run_files

    _say(evaluate_run_files(words))
    return 0


def _compare(words: Sequence[str]) -> int:
    from recross.report.tables.comparison import format_comparison, list_pairs
    from recross.report.tables.row_evaluations import read_row_evaluations

    parser = argparse.ArgumentParser(prog="recross compare")
    parser.add_argument("folders", nargs="+", type=Path, metavar="DIR")
    parser.add_argument("--rows", nargs="+", default=[], metavar="PATTERN", help="labels, or *")
    parser.add_argument("--measures", nargs="+", default=["MRR@10"])
    parser.add_argument("--all-pairs", action="store_true", help="not only against the first row")
    arguments = parser.parse_args(words)
    evaluations = read_row_evaluations(arguments.folders, arguments.measures, arguments.rows)
    pairs = list_pairs(list(evaluations), arguments.all_pairs)
    _say(format_comparison(evaluations, arguments.measures, pairs))
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
    options = list_options(folders)
    groups = [word for word in arguments.words if word not in plugins] or list(options)
    if unknown := [group for group in groups if group not in options]:
        raise InputError(f"group must be one of {', '.join(options)}, got {unknown[0]!r}")
    for group in groups:
        _say(group)
        for name in options[group]:
            _say(f"  {name:<20} {read_summary(group, name, folders)}")
    return 0


def _contracts(words: Sequence[str]) -> int:
    from recross.command.catalogue import group_options_by_checkpoint
    from recross.report.tables.contracts_table import format_contracts

    parser = argparse.ArgumentParser(prog="recross contracts")
    parser.add_argument(
        "--check", action="store_true", help="score golden pairs with the checkpoints at hand"
    )
    parser.add_argument("--golden", type=Path, help="CSV of golden scores of your own")
    arguments = parser.parse_args(words)
    if arguments.check or arguments.golden:
        return _check_golden(arguments.golden)
    _say(format_contracts(group_options_by_checkpoint()))
    return 0


def _check_golden(path: Path | None) -> int:
    from recross.command.golden import (
        check_golden,
        format_golden,
        list_published_golden,
        read_golden,
    )

    verdicts = check_golden(list_published_golden() if path is None else read_golden(path))
    _say(format_golden(verdicts))
    return 1 if any(verdict.verdict == "missed" for verdict in verdicts) else 0


def _parity(words: Sequence[str]) -> int:
    from recross.command.parity import format_probe, parse_and_probe

    parity = parse_and_probe(words)
    _say(format_probe(parity))
    return 0 if parity.agreement.agrees else 1


def _doctor(words: Sequence[str]) -> int:
    from recross.inference.encoders.kernels import describe_kernels
    from recross.machine.diagnosis import diagnose

    argparse.ArgumentParser(prog="recross doctor").parse_args(words)
    _say(diagnose(kernels=describe_kernels()))
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
        _say(f"{arguments.path}: {counts.entries:,} scores, {counts.bytes / 1e6:,.1f} MB")
        for scorer, entries in counts.scorers.items():
            _say(f"  {scorer}  {entries:,}")
        return 0
    if arguments.action == "clear":
        _say(f"{arguments.path}: {score_cache.clear(arguments.path) / 1e6:,.1f} MB freed")
        return 0
    bad = score_cache.verify(arguments.path, arguments.repair)
    dropped = " dropped" if bad and arguments.repair else ""
    _say(f"{arguments.path}: {bad} damaged entries{dropped}")
    return 1 if bad and not arguments.repair else 0


def _store(words: Sequence[str]) -> int:
    from recross.command.storing import run_store_command

    text, code = run_store_command(words)
    _say(text)
    return code


def _say(text: str) -> None:
    sys.stdout.write(text.rstrip("\n") + "\n")


_PLAIN: dict[str, Callable[[Sequence[str]], int]] = {
    "evaluate": _evaluate,
    "table": _table,
    "compare": _compare,
    "options": _options,
    "contracts": _contracts,
    "parity": _parity,
    "doctor": _doctor,
    "cache": _cache,
    "store": _store,
}
