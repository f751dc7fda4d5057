"""Any text as text: what Markdown, LaTeX and spreadsheets would read as commands is escaped."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

_JOINERS = "\u200c\u200d\u00ad"
"""Format characters that words of some languages need; they reorder and hide nothing."""
_UNPRINTABLE = {"Cc", "Cs", "Cf", "Zl", "Zp"}
_MARKDOWN = re.compile(
    r"[\\`*|$]"
    r"|(?<![^\W_])_|_(?![^\W_])"  # within a word it emphasises nothing
    r"|<(?=[A-Za-z/!?])|&(?=#?\w+;)"
    r"|(?<!/)~"  # after a slash it is part of an address
    r"|\](?=\()"
    r"|#(?=\s*$)"  # it would end a heading
)
_LATEX = str.maketrans(
    {
        **{sign: f"\\{sign}" for sign in "&%$#_{}"},
        "\\": "\\textbackslash{}",
        "~": "\\textasciitilde{}",
        "^": "\\textasciicircum{}",
        "`": "\\textasciigrave{}",
        "<": "\\textless{}",
        ">": "\\textgreater{}",
        "|": "\\textbar{}",
        "▲": "$^\\uparrow$",
        "▼": "$^\\downarrow$",
        "±": "$\\pm$",
        "†": "$^\\dagger$",
    }
)
_FORMULA = re.compile(r"[\s']*[=+\-@＝＋－＠]")  # full-width signs count, too
_PLAIN_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
Cell = str | float | None


def show_unprintable(text: str) -> str:
    r"""The text in one line, in the order it has: ``\n`` for a line break, ``\u202e`` for an order.

    Signs that end lines, reorder or hide others are shown as Python writes them.
    """
    return "".join(
        sign.encode("unicode_escape").decode("ascii") if _is_unprintable(sign) else sign
        for sign in text
    )


def escape_markdown(text: str) -> str:
    """The text for a paragraph or a cell of a table in Markdown."""
    return _MARKDOWN.sub(r"\\\g<0>", show_unprintable(text))


def format_code(text: str) -> str:
    """The text as code within a line of Markdown."""
    shown = show_unprintable(text)
    fence = "`" * (_count_longest(shown, "`") + 1)
    space = " " if shown[:1] == "`" or shown[-1:] == "`" else ""
    return f"{fence}{space}{shown}{space}{fence}"


def format_code_block(text: str) -> str:
    """The text as lines of code in Markdown."""
    fence = "`" * max(3, _count_longest(text, "`") + 1)
    return f"{fence}\n{text}\n{fence}"


def escape_latex(text: str) -> str:
    """The text for a cell of a LaTeX table; the signs of our tables become commands."""
    escaped = re.sub("-(?=-)", "-{}", show_unprintable(text).translate(_LATEX)).replace("–", "--")
    # after the end of a row LaTeX takes a star or a bracket for an argument of that end
    return f"{{}}{escaped}" if escaped.startswith(("[", "*")) else escaped


def guard_formula(text: str) -> str:
    """The text with an apostrophe before what a spreadsheet would compute; numbers stay."""
    is_formula = _FORMULA.match(text) and not _PLAIN_NUMBER.fullmatch(text)
    return f"'{text}" if is_formula else text


def read_guarded(text: str) -> str:
    """The text of a cell as it was before ``guard_formula``."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def format_csv_line(cells: Sequence[Cell]) -> str:
    """One line of a CSV file, with its end; no spreadsheet computes or splits a cell of it."""
    return ",".join(map(_format_cell, cells)) + "\n"


def _format_cell(cell: Cell) -> str:
    match cell:
        case None:
            return ""
        case str():
            guarded = guard_formula(cell)
            quoted = guarded.replace('"', '""')
            plain = guarded == guarded.strip() and not set(guarded) & set('",;\t\r\n|')
            return guarded if plain else f'"{quoted}"'
    return str(cell)


def _is_unprintable(sign: str) -> bool:
    return unicodedata.category(sign) in _UNPRINTABLE and sign not in _JOINERS


def _count_longest(text: str, sign: str) -> int:
    return max((len(found[0]) for found in re.finditer(f"{re.escape(sign)}+", text)), default=0)
