"""What this process has opened of finished folders: each once, and anew after it was made again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from recross.artefacts.manifest import MANIFEST

_Opened = TypeVar("_Opened")

_opened: dict[tuple[Callable[..., object], Path], tuple[tuple[int, int], Any]] = {}


def open_once(opener: Callable[[Path], _Opened], folder: Path) -> _Opened:
    """What ``opener`` makes of a finished folder, once in each process.

    A folder that was damaged and made again is opened anew: what maps the old files into memory
    would go on reading them.
    """
    state = (folder / MANIFEST).stat()
    version, key = (state.st_ino, state.st_mtime_ns), (opener, folder.absolute())
    known = _opened.get(key)
    if known is None or known[0] != version:
        known = _opened[key] = (version, opener(folder))
    found: _Opened = known[1]
    return found
