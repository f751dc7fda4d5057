"""Rows as a table of a paper, for LaTeX's package booktabs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from recross.report.tables.columns import DIGITS, Column, choose_columns, find_best
from recross.report.tables.row_references import Reference
from recross.report.tables.rows import Row
from recross.report.tables.short_labels import shorten_labels
from recross.writing.alignment import MISSING
from recross.writing.escaping import escape_latex

BETTER, WORSE, OVER_OTHERS = "$^{\\dagger}$", "$^{\\ddagger}$", "$^{\\ast}$"
DAGGERS = {"": "", "▲": BETTER, "▼": WORSE}


@dataclass(frozen=True)
class LatexStyle:
    """What a paper's table has beside the numbers.

    ``caption`` is LaTeX; without one it says what is shown. ``label`` is what the text refers to.
    """

    intervals: bool = False
    caption: str | None = None
    label: str | None = None


def format_latex(rows: Sequence[Row], style: LatexStyle = LatexStyle()) -> str:
    """A floating table: the best of each measure in bold, the second underlined, daggers for tests.

    Labels say what varies; what all rows share stands in the caption.
    """
    names, shared = shorten_labels([row.label for row in rows])
    model, *columns = [column for column in choose_columns(rows) if column.is_printed]
    cells = [[escape_latex(model.name), *map(escape_latex, names)]]
    cells += [
        [escape_latex(column.heading), *_format_cells(column, rows, style)] for column in columns
    ]
    head, *lines = [" & ".join(line) + " \\\\" for line in zip(*cells, strict=True)]
    caption = compose_caption(rows, columns, shared) if style.caption is None else style.caption
    return "\n".join(
        [
            "% needs \\usepackage{booktabs}",
            "\\begin{table}[t]",
            "\\centering",
            f"\\caption{{{caption}}}",
            f"\\label{{{_make_label(rows) if style.label is None else style.label}}}",
            f"\\begin{{tabular}}{{l{'r' * len(columns)}}}",
            *("\\toprule", head, "\\midrule"),
            *lines,
            *("\\bottomrule", "\\end{tabular}", "\\end{table}", ""),
        ]
    )


def compose_caption(rows: Sequence[Row], columns: Sequence[Column], shared: Sequence[str]) -> str:
    """What is shown, on what, and what the marks mean, of those that these rows have."""
    measures = [column.measure for column in columns if column.measure is not None]
    collections = list(dict.fromkeys(row.collection for row in rows if row.collection))
    marks = {row.mark_of(name) for row in rows for name in measures}
    against = next((row.against for row in rows if row.against), "its own first stage")
    tested = (
        f"than {escape_latex(against)} ($p < .05$, paired randomisation test, Holm-corrected over"
        " rows)."
    )
    said = {
        f"{escape_latex(_enumerate(measures))}{_name_collections(collections)}.": True,
        "Best in bold, second underlined.": any(find_best(rows, name)[0] for name in measures),
        f"{BETTER}: better, {WORSE}: worse {tested}": {"▲", "▼"} <= marks,
        f"{BETTER}: better {tested}": "▲" in marks and "▼" not in marks,
        f"{WORSE}: worse {tested}": "▼" in marks and "▲" not in marks,
        f"{OVER_OTHERS}: over other candidates.": any(row.is_published_over_others for row in rows),
        "Latency is in milliseconds for 100 documents.": any(c.unit == "ms/100" for c in columns),
        f"All rows with {escape_latex(_enumerate(shared))}.": bool(shared),
    }
    return " ".join(sentence for sentence, is_said in said.items() if is_said)


def _name_collections(collections: Sequence[str]) -> str:
    return f" on {escape_latex(_enumerate(collections))}" if 0 < len(collections) < 4 else ""


def _enumerate(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))


def _make_label(rows: Sequence[Row]) -> str:
    study = next((row.study for row in rows if row.study), "results")
    return "tab:" + re.sub(r"[^A-Za-z0-9_-]+", "-", study)


def _format_cells(column: Column, rows: Sequence[Row], style: LatexStyle) -> list[str]:
    if column.measure is None:
        return [_mark_published(escape_latex(column.show(row)), row.reference) for row in rows]
    best, second = find_best(rows, column.measure)
    cells = []
    for number, row in enumerate(rows):
        form = "\\textbf{%s}" if number in best else "\\underline{%s}" if number in second else "%s"
        cells.append(_format_measure(row, column.measure, form, style))
    return cells


def _format_measure(row: Row, measure: str, form: str, style: LatexStyle) -> str:
    value = row.measures.get(measure)
    if value is None:
        return escape_latex(MISSING)
    spread = f" $\\pm$ {value.sd:.{DIGITS}f}" if value.sd is not None else ""
    interval = f" {{\\scriptsize [{value.low:.3f}, {value.high:.3f}]}}" if style.intervals else ""
    mean = form % f"{value.mean:.{DIGITS}f}"
    return f"{mean}{DAGGERS[row.mark_of(measure)]}{spread}{interval}"


def _mark_published(cell: str, reference: Reference | None) -> str:
    """Daggers are for tests: what is over other candidates has a star."""
    return cell if reference is None else cell.replace("$^\\dagger$", OVER_OTHERS)
