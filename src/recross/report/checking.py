"""Finished studies held against reference values, and their own values kept as such."""

from __future__ import annotations

import importlib.metadata
import logging
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from recross.errors import InputError
from recross.report.finished import find_finished
from recross.report.parity import collect_measured_values, format_parity, judge
from recross.report.references import (
    find_reference_file,
    find_reference_files,
    read_values,
    write_measured,
)

logger = logging.getLogger(__name__)


def check(folders: Sequence[Path], reference: Path | None = None) -> bool:
    """Print what was measured beside every reference value; return whether none is missed.

    Values over other candidates than the reference's are named and not compared; a study none of
    whose values could be compared does not pass.

    Raises:
        InputError: a folder or the reference file does not exist, or the file is wrong.
    """
    records = [experiment.record for experiment in find_finished(folders)]
    studies = {record["study"] for record in records} | {folder.name for folder in folders}
    verdicts = judge(
        records, read_values([reference] if reference else find_reference_files(), studies)
    )
    if not verdicts:
        logger.error("no reference values for %s: nothing was checked", ", ".join(sorted(studies)))
        return False
    sys.stdout.write("\n" + format_parity(verdicts))
    for verdict in verdicts:
        if verdict.verdict != "met":
            logger.error("%s: %s", verdict.verdict, verdict)
    counts: Counter[str] = Counter(verdict.verdict for verdict in verdicts)
    logger.info("%s of %d reference values", _format_counts(counts), len(verdicts))
    met = {verdict.reference.study for verdict in verdicts if verdict.verdict == "met"}
    judged = {verdict.reference.study for verdict in verdicts}
    for study in sorted(judged - met):
        logger.error("no value of %s is met", study)
    return not counts["missed"] and met == judged


def write_reference(
    folders: Sequence[Path], tolerance: float, reference: Path | None = None
) -> list[Path]:
    """Keep the measures and sizes of finished studies as their reference values; no latencies.

    Values that others published stay in the files. Returns the files written.

    Raises:
        InputError: a folder does not exist, or nothing under them is finished.
    """
    records = [experiment.record for experiment in find_finished(folders)]
    if not records:
        raise InputError(f"no finished experiment under {', '.join(map(str, folders))}")
    source = f"own run of recross {importlib.metadata.version('recross')}, {date.today()}"
    values = collect_measured_values(records, tolerance, source)
    written = []
    for study in dict.fromkeys(value.study for value in values):
        path = reference or find_reference_file(study)
        write_measured(path, [value for value in values if value.study == study])
        written.append(path)
    logger.info("wrote %s", ", ".join(map(str, dict.fromkeys(written))))
    return written


def _format_counts(counts: Counter[str]) -> str:
    return ", ".join(f"{number} {verdict}" for verdict, number in sorted(counts.items()))
