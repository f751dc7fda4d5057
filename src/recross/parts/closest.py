"""What was probably meant: the known names that are most like one that is not known."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher

ALIKE = 0.6
"""The share of equal characters from which a name may be a misspelt one, as in ``difflib``."""
SHORTEST_PART = 3
"""Characters from which a word that stands within a name may mean it."""
MOST = 5
NEXT_BEST = 0.15
"""How much less like it than the best another name may be."""
_MARKS = re.compile(r"[-_ ./@]")


def find_closest(asked: str, known: Iterable[str], most: int = MOST) -> list[str]:
    """The names most like the one that was asked for, the best first; marks and case say little."""
    wanted = _fold(asked)
    likeness = {name: _compare(wanted, _fold(name)) for name in dict.fromkeys(known)}
    least = max([ALIKE, *(share - NEXT_BEST for share in likeness.values())])
    close = [name for name, share in likeness.items() if share >= least]
    return sorted(close, key=lambda name: likeness[name], reverse=True)[:most]


def suggest(asked: str, known: Iterable[str], most: int = MOST) -> str:
    """``; did you mean minilm_l6 or minilm_l4?``; nothing where no known name is like it."""
    close = find_closest(asked, known, most)
    return f"; did you mean {_join(close)}?" if close else ""


def say_unknown(argument: str, asked: str, known: Iterable[str]) -> str:
    """``contract must be one of a, b, got 'aa'; did you mean a?``."""
    names = list(known)
    return f"{argument} must be one of {', '.join(names)}, got {asked!r}{suggest(asked, names)}"


def _compare(wanted: str, name: str) -> float:
    share = SequenceMatcher(None, wanted, name, autojunk=False).ratio()
    is_part = len(wanted) >= SHORTEST_PART and wanted in name
    return max(share, ALIKE) if is_part else share


def _fold(name: str) -> str:
    return _MARKS.sub("", name).casefold()


def _join(names: Sequence[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} or {last}" if first else last
