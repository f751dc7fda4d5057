"""Configs that a command has saved beside its results, and that it can begin from again."""

from __future__ import annotations

import argparse
import importlib.metadata
import logging
import re
from collections.abc import Sequence
from pathlib import Path

from recross.command.catalogue import COMMANDS, find_config_folder, read_target
from recross.errors import InputError

logger = logging.getLogger(__name__)

VERSION_NOTE = re.compile(r"# saved by recross (\S+)")
HYDRA_PLACES = (
    "hydra/job_logging=none",
    "hydra/hydra_logging=none",
    "hydra.output_subdir=null",
    "hydra.run.dir=.",
    "hydra.sweep.dir=${output}",
    "hydra.sweep.subdir=.",
)
"""What our own configs say of Hydra, which writes no folder and no log; saved ones do not."""
WITH_SAME_VALUES = ("run", "train")
"""Commands whose configs hold the same values: one begins with what another has saved."""


def note_version() -> str:
    """The first line of a saved config."""
    return f"# saved by recross {importlib.metadata.version('recross')}\n"


def locate_primary(command: str | Path) -> tuple[str, str]:
    """The folder and the name of the config that Hydra begins with: a command's, or a saved one."""
    match command:
        case Path():
            return str(command.parent.resolve()), command.stem
        case _:
            return str(find_config_folder()), command


def take_saved(words: Sequence[str], command: str) -> tuple[Path | None, list[str]]:
    """Take ``--from FILE`` out of the words of a command; the others say what is changed of it.

    Raises:
        InputError: the file is none that the command has saved.
    """
    flags = argparse.ArgumentParser(prog=f"recross {command}", add_help=False, allow_abbrev=False)
    flags.add_argument("--from", dest="saved", type=Path, metavar="FILE")
    known, others = flags.parse_known_args(words)
    if known.saved is None:
        return None, others
    _check_saved(known.saved, command)
    return known.saved, [*HYDRA_PLACES, f"_target_={find_target(command)}", *others]


def find_target(command: str) -> object:
    """The class that a command's own config names."""
    return read_target(find_config_folder() / f"{command}.yaml")


def _check_saved(path: Path, command: str) -> None:
    """See that a config is a command's; say it where another version of recross has saved it."""
    if path.suffix != ".yaml" or not path.is_file():
        raise InputError(f"--from must be a .yaml file that exists, got {str(path)!r}")
    found, takes = (
        read_target(path),
        WITH_SAME_VALUES if command in WITH_SAME_VALUES else (command,),
    )
    owners = [owner for owner in COMMANDS if find_target(owner) == found]
    if not {*owners} & {*takes}:
        got = f"one of recross {owners[0]}" if owners else f"the _target_ {found!r}"
        raise InputError(
            f"--from must be a config that recross {' or '.join(takes)} has saved,"
            f" got {got} in {str(path)!r}"
        )
    _say_version(path)


def _say_version(path: Path) -> None:
    with path.open(encoding="utf-8", errors="replace") as file:
        noted = VERSION_NOTE.match(file.readline())
    own, version = importlib.metadata.version("recross"), noted[1] if noted else "not said"
    if version != own:
        logger.warning(
            "%s: its version of recross is %s, this is %s; results may differ", path, version, own
        )
