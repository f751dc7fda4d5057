"""Texts that are the same but for white space and case."""

from __future__ import annotations


def folded(text: str) -> str:
    """The text in lower case, with single blanks between its words."""
    return " ".join(text.casefold().split())
