"""Odd labels of rows in every format of a table: each shows them as text, and acts on none."""

from __future__ import annotations

import json
from pathlib import Path

from recross.experiment.model_card import format_card
from recross.report.page.page import embed_json
from recross.report.references import ReferenceValue, read_values, write_measured
from recross.report.tables.latex import format_latex
from recross.report.tables.rows import make_rows
from recross.report.tables.table import comma_separated, format_markdown
from recross.writing.alignment import align_table
from recross.writing.escaping import guard_formula, read_guarded
from tests.odd_inputs.format_readers import (
    read_csv_cells,
    read_latex_row,
    read_markdown,
    split_markdown_row,
)
from tests.odd_inputs.odd_input import OddInput
from tests.small_study import AFTER, BEFORE, record

LABELS = {
    "bar": "a|b",
    "bar after a backslash": "a\\|b",
    "backslash at the end": "a\\",
    "two backslashes": "a\\\\b",
    "dollars": "$x_1$ and $y$",
    "one dollar": "5 $",
    "underscores within": "cross_encoder_base",
    "underscores around": "_nolegend_",
    "double underscores": "__init__ a__b",
    "per cent": "50 % of it",
    "hash": "# heading #1",
    "hash at the end": "a ##",
    "ampersand": "R&D & more",
    "entity": "&lt;b&gt; &#60;",
    "braces": "{a} }{ {",
    "caret and tilde": "~a~ ^b^ ~~gone~~",
    "backticks": "`rm -rf` ``x`` ```",
    "stars": "*a* **b** *",
    "star first": "*best",
    "bracket first": "[2pt] wide",
    "link": "[here](http://evil.example/~user)",
    "picture": "![x](http://evil.example/a.png)",
    "script": "</script><script>alert(1)</script>",
    "element": "<img src=x onerror='alert(1)'>",
    "comment": "<!-- gone -->",
    "less than": "depth < 5 > 3",
    "input of LaTeX": "\\input{/etc/passwd}",
    "write of LaTeX": "\\immediate\\write18{ls}",
    "end of the table": "\\end{tabular}",
    "end of the row": "a \\\\ b & c",
    "ligatures": "a--b---c ?`!` <<x>>",
    "quotes": "\"a\" 'b' ''c''",
    "comma": "a,b",
    "semicolon and formula": "a;=1+1",
    "formula": "=1+1",
    "command formula": "=cmd|' /C calc'!A0",
    "plus formula": "+1+cmd",
    "minus formula": "-1+cmd",
    "at formula": "@SUM(A1)",
    "tab formula": "\t=1+1",
    "blank formula": "  =1+1",
    "line break formula": "\n=1+1",
    "full-width formula": "＝1+1",
    "apostrophe formula": "'=1+1",
    "two apostrophes": "''=1",
    "negative number": "-0.5",
    "positive number": "+7",
    "number with an exponent": "-1e-5",
    "only a minus": "-",
    "dashes": "--",
    "line break": "a\nb",
    "carriage return": "a\rb",
    "Windows line break": "a\r\nb",
    "next line": "a\u0085b",
    "line separator": "a\u2028b\u2029c",
    "form feed": "a\fb\vc",
    "tab": "a\tb",
    "escape sequence": "\x1b[31mred\x1b[0m",
    "bell and backspace": "a\x07\x08",
    "NUL": "a\x00b",
    "right-to-left override": "abc\u202egpj.exe",
    "isolates": "\u2066a\u2069 \u200fb",
    "zero width": "a\u200bb\ufeff",
    "half a pair": "a\ud83db",
    "emoji of joined signs": "👩\u200d🔬",
    "Arabic": "نموذج",
    "Chinese": "重排序模型",
    "combining": "e\u0301\u0302",
    "long": "long " * 200,
    "blank": " ",
    "empty": "",
    "quote and comma": 'a"b,c',
}
"""By what is odd about them."""


def show(label: str) -> str:
    """The label with the signs that cannot be seen as Python writes them."""
    hidden = "\u202e\u2066\u2069\u200f\u200b\ufeff\u2028\u2029\u0085\ud83d\x7f"
    return "".join(
        sign.encode("unicode_escape").decode() if sign < " " or sign in hidden else sign
        for sign in label
    )


def rows_of(label: str):
    return make_rows([record(label, AFTER, BEFORE)], {})


def in_markdown(label: str) -> str:
    line = format_markdown(rows_of(label)).split("\n")[2]
    return read_markdown(split_markdown_row(line)[0])


def in_comparison(label: str) -> str:
    line = align_table(["run", "x", "y"], [["a", label, "1"]], words=2)[2]
    return read_markdown(split_markdown_row(line)[1])


def in_latex(label: str) -> str:
    lines = format_latex(rows_of(label)).split("\n")
    assert len(lines) == 14
    return read_latex_row(lines[lines.index("\\midrule") + 1])[0]


def in_csv(label: str) -> str:
    lines = read_csv_cells(comma_separated(rows_of(label)))
    assert [len(line) for line in lines] == [len(lines[0])] * 2
    return read_guarded(lines[1][0])


def in_page(label: str) -> str:
    text = embed_json({"label": label})
    assert not set("<>&\u2028\u2029") & set(text)
    return json.loads(text)["label"]


def in_card(label: str) -> str:
    part = {"class": "A", "b": label}
    result = {
        **record(label, AFTER, BEFORE),
        **dict.fromkeys(("reranker", "training_data", "loss", "recipe"), part),
        "training": {"steps": 1, "pairs": 1, "seconds": 1.0, "best_step": 1},
    }
    lines = format_card(result, {"template": label}, ["recross", label]).split("\n")
    assert lines.count("---") == 2
    title = lines[lines.index("---", 1) + 2]
    return read_markdown(title.removeprefix("# "))


def in_references(label: str, folder: Path) -> str:
    path = folder / "reference.csv"
    write_measured(path, [ReferenceValue("s", label, "measured", "MRR@10", -0.5, 0.1, "c")])
    read_csv_cells(path.read_bytes().decode("utf-8"))
    (value,) = read_values([path])
    return value.label


def of(name: str, read, label: str, answer: object) -> OddInput:
    return OddInput(name, lambda _: read(label), answer)


FORMATS = {
    "Markdown": in_markdown,
    "a comparison": in_comparison,
    "LaTeX": in_latex,
    "CSV": in_csv,
    "a model card": in_card,
}

NOT_OF_FILES = {"half a pair", "NUL", "Windows line break"}
"""No text in UTF-8, and what readers of text files make one of."""
ODD_INPUTS = [
    *(
        of(f"label in {name}: {odd}", read, label, show(label))
        for name, read in FORMATS.items()
        for odd, label in LABELS.items()
        if not (label.strip(" ") != label and name in ("Markdown", "a comparison"))
    ),
    *(of(f"label in a page: {odd}", in_page, label, label) for odd, label in LABELS.items()),
    *(
        OddInput(f"label in references: {odd}", lambda f, text=text: in_references(text, f), text)
        for odd, text in LABELS.items()
        if odd not in NOT_OF_FILES
    ),
    *(
        of(f"formula guard: {number}", guard_formula, number, number)
        for number in ("-1", "-0.5", "+3", "-1e9", "-.5", "1", "", "a=b", "a-b", "x@y")
    ),
]
