"""What this process has opened and loaded of folders: each once, and anew after it changed."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from recross.artefacts.manifest import MANIFEST
from recross.parts.identity import describe_state

_Opened = TypeVar("_Opened")
_Place = TypeVar("_Place", str, Path)
_Rest = ParamSpec("_Rest")

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


def load_once(
    load: Callable[Concatenate[_Place, _Rest], _Opened],
) -> Callable[Concatenate[_Place, _Rest], _Opened]:
    """Make ``load`` keep what it loads of a checkpoint, until the checkpoint's files change.

    The checkpoint comes first, a folder or the id of one; all other arguments are hashable. One
    that was trained again, or edited, is loaded again: what was loaded before is another network.
    """
    loaded: dict[object, tuple[str, _Opened]] = {}

    @wraps(load)
    def load_if_changed(checkpoint: _Place, /, *rest: _Rest.args, **named: _Rest.kwargs) -> _Opened:
        state, key = describe_state(Path(checkpoint)), (checkpoint, rest, *sorted(named.items()))
        known = loaded.get(key)
        if known is None or known[0] != state:
            known = loaded[key] = (state, load(checkpoint, *rest, **named))
        return known[1]

    return load_if_changed
