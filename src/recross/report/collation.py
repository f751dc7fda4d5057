"""Finished experiments collated: tables, plots and the page of a study."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from recross.errors import InputError
from recross.report.finished import find_finished
from recross.report.page.page import write_page
from recross.report.plots import plot_curves, plot_quality_latency
from recross.report.references import find_reference_files
from recross.report.tables.latex import LatexStyle
from recross.report.tables.means import make_table_rows
from recross.report.tables.row_references import read_references
from recross.report.tables.table import format_markdown, write_table

logger = logging.getLogger(__name__)


def collate(
    folders: Sequence[Path], reference: Path | None = None, style: LatexStyle = LatexStyle()
) -> None:
    """Write tables, plots and page of finished experiments into the first folder, print the table.

    Raises:
        InputError: there is no finished experiment, or the reference file is not one.
    """
    finished = find_finished(folders)
    results = [{**found.record, "folder": str(found.folder)} for found in finished]
    studies = {folder.name for folder in folders} | {result["study"] for result in results}
    files = [reference] if reference else find_reference_files()
    rows = make_table_rows(results, read_references(files, studies))
    if not rows:
        raise InputError(f"no finished experiment under {', '.join(map(str, folders))}")
    written = [*write_table(rows, folders[0], style), *plot_quality_latency(rows, folders[0])]
    written += plot_curves(rows, folders[0])
    written.append(write_page(rows, finished, folders[0]))
    sys.stdout.write(format_markdown(rows))
    logger.info("wrote %s", ", ".join(map(str, written)))
