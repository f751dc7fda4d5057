"""Folders whose files are on the disk before anything says so, and what is half written there."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from recross.writing.whole_files import share_files, sync_folder

PARTIAL = ".partial"
"""Part of the name of every file and folder that is not finished."""

LEFT_BY_LIBRARIES = ".tmp*"
"""Files that other packages (safetensors) write before they rename them."""


def sync_tree(folder: Path) -> None:
    """Put every file below a folder on the disk, and then the folders that name them.

    Whoever made them, they are to be read by whom the umask lets.
    """
    share_files(folder)
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    for path in (*folder.rglob("*"), folder):
        if path.is_dir():
            sync_folder(path)


def remove_partials(folder: Path) -> None:
    """Remove what processes that ended have left half written below a folder.

    Only for the process that holds the folder's lock: nobody else writes there then.
    """
    for path in sorted({*folder.rglob(f"*{PARTIAL}*"), *folder.rglob(LEFT_BY_LIBRARIES)}):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
