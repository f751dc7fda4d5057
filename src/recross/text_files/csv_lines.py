"""Lines of CSV files by the names of their columns."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from recross.errors import InputError
from recross.text_files.lines import read_all_lines


def read_csv_lines(
    path: Path, columns: Sequence[str], what: str
) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Lines of a CSV file by column, each with its place for an error to name.

    Raises:
        InputError: ``what`` the file holds is missing, it lacks a column or has one twice, a line
            has more fields or fewer than there are columns, or quotes are left open.
    """
    texts = (f"{line.text}{line.ending}" for line in read_all_lines(path, what))
    lines = csv.reader(texts, strict=True)
    try:
        header = next(lines, [])
        if set(columns) - set(header) or len(set(header)) < len(header):
            raise InputError(
                f"{path} must have the columns {', '.join(columns)}, each once,"
                f" got {', '.join(header) or 'none'!r:.200}"
            )
        for fields in lines:
            place = f"{path}:{lines.line_num}"
            if fields and len(fields) != len(header):
                raise InputError(f"{place}: expected {len(header)} fields, got {len(fields)}")
            if fields:
                yield place, dict(zip(header, fields, strict=True))
    except csv.Error as error:
        raise InputError(f"{path}:{lines.line_num}: expected fields of CSV ({error})") from None
