"""A study of choices as files: Markdown, CSV, a plot and one page that needs no other file."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path

from recross.report.choosing.choice_plot import plot_choices
from recross.report.choosing.choices import ChoiceRow, ChoiceStudy, read_choices
from recross.report.tables.columns import format_number
from recross.writing.alignment import MISSING, align_table
from recross.writing.escaping import Cell, format_csv_line, show_unprintable
from recross.writing.whole_files import write_whole

FRONT = "●"
CHOICE_NOTE = (
    f"{FRONT}: on the Pareto front: nothing measured is as good and faster. Brackets: 95 %"
    " bootstrap interval over queries. p50, p95, p99: milliseconds of one query at a time, warm,"
    " cache off, at this depth; candidates below it stay as they are. Load: until the first query"
    " is answered. Memory: the largest size of a process that did nothing else, collection"
    " included; of a GPU, the most that its tensors took. Size: the weights in fp32."
)
_PAGE = "choices.html"
_SIZES = ("peak_memory_mb", "peak_gpu_memory_mb", "size_mb")


def write_choices(paths: Sequence[Path], folder: Path) -> list[Path]:
    """Write and print what was measured; returns the paths of the files.

    Raises:
        InputError: the records are of different candidates.
    """
    study = read_choices(paths)
    text = format_choices(study)
    write_whole(folder / "choices.md", text, errors="backslashreplace")
    write_whole(folder / "choices.csv", _format_csv(study), errors="backslashreplace")
    plots = plot_choices(study, folder)
    picture = next(path for path in plots if path.suffix == ".svg").read_text(encoding="utf-8")
    write_whole(folder / _PAGE, format_page(study, picture), errors="replace")
    sys.stdout.write(text)
    return [folder / "choices.md", folder / "choices.csv", *plots, folder / _PAGE]


def format_choices(study: ChoiceStudy) -> str:
    """The table in Markdown, what its marks mean, the advice, and the command that follows it."""
    columns = list_choice_columns(study)
    lines = [[show(row) for _, show in columns] for row in study.rows]
    table = align_table([name for name, _ in columns], lines, words=3)
    command = ["", f"    {study.command}"] if study.command else []
    return "\n".join([*table, "", CHOICE_NOTE, "", study.advice, *command]) + "\n"


def list_choice_columns(study: ChoiceStudy) -> list[tuple[str, Callable[[ChoiceRow], str]]]:
    """Names of the columns, and what each shows of a row."""

    def show_measure(name: str) -> Callable[[ChoiceRow], str]:
        def show(row: ChoiceRow) -> str:
            low, high = row.interval
            spread = f" [{low:.3f}, {high:.3f}]" if name == row.measure else ""
            return f"{row.measures[name]:.4f}{spread}"

        return show

    has_gpu = any(row.peak_gpu_memory_mb is not None for row in study.rows)
    return [
        ("", lambda row: FRONT if row.is_on_front else ""),
        ("re-ranker and hardware", lambda row: row.name),
        ("form", lambda row: row.form or MISSING),
        ("depth", lambda row: str(row.depth) if row.depth else MISSING),
        *((name, show_measure(name)) for name in study.rows[0].measures),
        ("p50 ms", lambda row: format_number(row.milliseconds["p50_ms"])),
        ("p95", lambda row: format_number(row.milliseconds["p95_ms"])),
        ("p99", lambda row: format_number(row.milliseconds["p99_ms"])),
        ("queries/s", lambda row: format_number(row.queries_per_second)),
        ("pairs/s", lambda row: format_number(row.pairs_per_second)),
        ("load s", lambda row: format_number(row.load_seconds)),
        ("memory MB", lambda row: format_number(row.peak_memory_mb)),
        *([("GPU MB", lambda row: format_number(row.peak_gpu_memory_mb))] if has_gpu else []),
        ("size MB", lambda row: format_number(row.size_mb)),
    ]


def format_page(study: ChoiceStudy, picture: str) -> str:
    """The page: advice, command, plot and table; nothing is fetched, and no script runs."""
    mark, name, form, *numbers = list_choice_columns(study)
    columns = [mark, name, *numbers, form]  # numbers first: they are seen on a narrow page
    head = "".join(f"<th>{escape(name)}</th>" for name, _ in columns)
    body = "".join(_format_row(study, row, columns) for row in study.rows)
    asked = f"{study.queries:,} queries of {study.collection}, {study.machine}"
    parts = {
        "advice": escape(study.advice),
        "command": f"<pre>{escape(study.command)}</pre>" if study.command else "",
        "asked": escape(asked),
        "picture": picture[picture.index("<svg") :],
        "table": f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>",
        "note": escape(CHOICE_NOTE),
    }
    page = (files("recross.report.choosing") / "choices.html").read_text(encoding="utf-8")
    first, *rest = page.split("{{ ")
    filled = [parts[name] + after for name, _, after in (piece.partition(" }}") for piece in rest)]
    return show_unprintable_lines("".join([first, *filled]))


def show_unprintable_lines(text: str) -> str:
    """Signs that reorder or hide text shown as what they are; line breaks stay."""
    return "\n".join(map(show_unprintable, text.split("\n")))


def _format_row(
    study: ChoiceStudy, row: ChoiceRow, columns: Sequence[tuple[str, Callable[[ChoiceRow], str]]]
) -> str:
    marks = [
        *(["front"] if row.is_on_front else []),
        *(["advised"] if row == study.advised else []),
    ]
    texts = [show(row).partition(" [") for _, show in columns]
    cells = "".join(
        f"<td>{_break(escape(text))}{f' <small>[{escape(rest)}</small>' if spread else ''}</td>"
        for text, spread, rest in texts
    )
    return f'<tr class="{" ".join(marks)}">{cells}</tr>'


def _break(name: str) -> str:
    """A name that may go on in a new line after its signs."""
    return re.sub(r"[_/]|\.(?!\d)", r"\g<0><wbr>", name)


def _format_csv(study: ChoiceStudy) -> str:
    names = list(study.rows[0].measures)
    header: list[Cell] = ["name", "form", "depth", "on_front", "advised", *names, "low", "high"]
    header += ["p_value", "p50_ms", "p95_ms", "p99_ms", "queries_per_second", "pairs_per_second"]
    lines: list[list[Cell]] = [[*header, "load_seconds", *_SIZES, "command"]]
    for row in study.rows:
        lines.append(
            [
                *(show_unprintable(row.name), row.form, row.depth),
                *(row.is_on_front, row == study.advised),
                *(row.measures[name] for name in names),
                *row.interval,
                *(row.p_value, *row.milliseconds.values()),
                *(row.queries_per_second, row.pairs_per_second),
                *(row.load_seconds, row.peak_memory_mb, row.peak_gpu_memory_mb, row.size_mb),
                " ".join(row.words),
            ]
        )
    return "".join(map(format_csv_line, lines))
