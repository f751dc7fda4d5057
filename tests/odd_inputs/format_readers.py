"""What a reader of Markdown, LaTeX or CSV sees of a cell; what it would act on fails."""

from __future__ import annotations

import csv
import io
import re
import string

MARKUP = re.compile(r"[`*$|]|(?<!/)~|<[A-Za-z/!?]|&#?\w+;|\]\(|(?<![^\W_])_|_(?![^\W_])", re.DOTALL)
LATEX_COMMANDS = {
    "textbackslash": "\\",
    "textasciitilde": "~",
    "textasciicircum": "^",
    "textasciigrave": "`",
    "textless": "<",
    "textgreater": ">",
    "textbar": "|",
}


def split_markdown_row(line: str) -> list[str]:
    """The cells of a row as GitHub's Markdown splits it: at bars without a backslash before."""
    cells, cell, signs = [], "", iter(line)
    for sign in signs:
        if sign == "\\":
            cell += sign + next(signs, "")
        elif sign == "|":
            cells.append(cell)
            cell = ""
        else:
            cell += sign
    return [cell.strip(" ") for cell in cells[1:]]


def read_markdown(text: str) -> str:
    """The text that is shown; markup that would be read as such is an error."""
    shown, bare, signs = "", "", iter(text)
    for sign in signs:
        if sign == "\\" and (following := next(signs, " ")) in string.punctuation:
            shown, bare = shown + following, bare + "."
        else:
            assert sign != "\\", f"a lone backslash in {text!r}"
            shown, bare = shown + sign, bare + sign
    assert not MARKUP.search(bare), f"markup in {text!r}"
    assert "\n" not in text
    return shown


def read_latex_row(line: str) -> list[str]:
    """The cells of a row of a ``tabular``; a sign that LaTeX acts on is an error."""
    assert line.endswith(" \\\\")
    assert not line.startswith(("[", "*"))
    cells, rest = [""], line.removesuffix(" \\\\")
    while rest:
        if found := re.match(r"\\([A-Za-z]+)\{\}", rest):
            cells[-1] += LATEX_COMMANDS[found[1]]
        elif found := re.match(r"\\([&%$#_{}])", rest):
            cells[-1] += found[1]
        elif found := re.match(r"\{\}", rest):
            pass
        elif found := re.match(r"\$[^$]*\$", rest):
            cells[-1] += found[0]
        elif found := re.match(r" & ", rest):
            cells.append("")
        elif found := re.match(r"--", rest):
            cells[-1] += "–"
        else:
            found = re.match(r"[^\\{}$&#%_^~`<>|\n]", rest)
            assert found, f"LaTeX acts on {rest[:20]!r}"
            cells[-1] += found[0]
        rest = rest[found.end() :]
    return cells


def read_csv_cells(text: str) -> list[list[str]]:
    """Lines of cells; one that a spreadsheet would compute, or split at its signs, is an error."""
    lines = list(csv.reader(io.StringIO(text, newline="")))
    for cell in (cell for line in lines for cell in line):
        is_number = re.fullmatch(r"[+-]?[\d.]+(e[+-]?\d+)?", cell, re.IGNORECASE | re.ASCII)
        assert is_number or not cell.strip()[:1] or cell.strip()[0] not in "=+-@＝＋－＠", cell
    for cell in re.sub(r'"(?:[^"]|"")*"', "", text).replace("\n", ",").split(","):
        assert not set(cell) & set(";\t\r|"), f"a spreadsheet splits {cell!r}"
    return lines
