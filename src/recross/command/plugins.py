"""Packages from outside whose classes configs may name, and whose options join ours."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from recross.command.signatures import PLUGINS
from recross.errors import ConfigError

ENTRY_POINTS = "recross.plugins"
"""The group of entry points by which an installed package joins without being listed."""
NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


def find_plugins(listed: object = ()) -> tuple[str, ...]:
    """Packages that a command lists, and those that say at their installation that they join.

    Raises:
        ConfigError: with every package that is not installed or cannot be imported.
    """
    named: list[Any] = list(listed) if isinstance(listed, list | tuple) else [listed]
    named += [point.module for point in importlib.metadata.entry_points(group=ENTRY_POINTS)]
    if problems := [problem for name in named for problem in _find_problems(name)]:
        raise ConfigError(problems)
    return tuple(dict.fromkeys(named))


def find_option_folders(plugins: Sequence[str]) -> list[Path]:
    """The folders ``conf/`` of packages that bring options of their own."""
    specs = [importlib.util.find_spec(name) for name in plugins]
    folders = [folder for spec in specs if spec for folder in spec.submodule_search_locations or ()]
    return [Path(folder) / "conf" for folder in folders if (Path(folder) / "conf").is_dir()]


def _find_problems(name: object) -> Iterator[str]:
    if not isinstance(name, str) or not NAME.fullmatch(name):
        yield f"{PLUGINS}: must be a list of packages, such as [my_package], got {name!r}"
        return
    try:
        importlib.import_module(name)
    except Exception as error:  # noqa: BLE001  (a package may fail in any way)
        reason = f"{type(error).__name__}: {error}"
        yield f"{PLUGINS}: must be packages that can be imported, got {name!r} ({reason})"
