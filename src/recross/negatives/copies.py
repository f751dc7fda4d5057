"""Texts that are the same but for white space and case."""

from __future__ import annotations

from collections.abc import Iterable


def fold_text(text: str) -> str:
    """Return the text in lower case, with single blanks between its words."""
    return " ".join(text.casefold().split())


class Copies:
    """``text in copies``: whether it is the same as one of a few texts."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts = {fold_text(text) for text in texts}
        self._starts = {text[:1] for text in self._texts}

    def __contains__(self, text: str) -> bool:
        """Look at the first letter before the whole text: most texts are told apart by it."""
        start = text.lstrip()[:1].casefold()[:1]
        return start in self._starts and fold_text(text) in self._texts
