"""Rows that another version of recross has made: their numbers may not be those of this one."""

from __future__ import annotations

from collections.abc import Sequence

from recross.experiment.origin import find_own_version
from recross.report.tables.rows import Row


def name_other_versions(rows: Sequence[Row]) -> str:
    """A sentence that names such rows and their versions; nothing where there are none."""
    own = find_own_version()
    named = [
        f"{row.label} ({' and '.join(row.versions)})" for row in rows if set(row.versions) - {own}
    ]
    return f" Not made by this version of recross, {own}: {'; '.join(named)}." if named else ""
