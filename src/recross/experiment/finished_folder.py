"""The folder of a finished experiment: sealed when it is done, verified before it is reused."""

from __future__ import annotations

import json
import logging
import shutil
from importlib.metadata import version
from pathlib import Path

from recross.artefacts.folders import PARTIAL, sync_tree
from recross.artefacts.manifest import (
    MANIFEST,
    find_damage,
    holds_files_of,
    seal_folder,
    unseal_folder,
)
from recross.errors import InputError
from recross.experiment.origin import say_other_version
from recross.records import JsonObject

logger = logging.getLogger(__name__)

RESULT = "result.json"
FACTS = ("reranks", "candidates", "base_checkpoint", "collection_name")
"""What tables read of a record beside its numbers."""

_REWRITTEN = {"config.yaml", "environment.json", "log.jsonl", "wandb_run.json", "training.json"}
"""Files of a finished folder that say how it was asked for, and change when it is asked again."""
_CHECKPOINT = "checkpoint"
_MADE_FROM = "*.trec", "*.json", f"{_CHECKPOINT}/**/*"


def seal_finished(folder: Path, identity: JsonObject) -> None:
    """Mark a folder as finished: its manifest says what it is and what each file of it is."""
    found = {path for pattern in _MADE_FROM for path in folder.glob(pattern) if path.is_file()}
    names = {path.relative_to(folder).as_posix() for path in found} - _REWRITTEN - {MANIFEST}
    sync_tree(folder)
    facts = {"identity": identity, "recross": version("recross")}
    seal_folder(folder, facts, (name for name in names if not name.endswith(".failed.json")))


def read_result(folder: Path) -> JsonObject | None:
    """The record of a folder, if it has one.

    Raises:
        InputError: it is no JSON.
    """
    path = folder / RESULT
    if not path.is_file():
        return None
    try:
        result: JsonObject = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(
            f"a record must be JSON, got {str(path)!r} ({error}): run the experiment again"
        ) from None
    return result


def read_finished(folder: Path, fingerprint: str) -> JsonObject | None:
    """The record of an experiment with this fingerprint, if the folder holds it complete.

    A finished folder with a file that is not as it was written is not complete, and that is said.
    """
    if not (folder / RESULT).is_file() and not (folder / MANIFEST).is_file():
        return None
    try:
        result = read_result(folder)
        if result is not None and (not is_finished(result) or result["fingerprint"] != fingerprint):
            say_other_version(folder, result)
            return None
    except (InputError, AttributeError, KeyError, TypeError):
        result = None
    if (damage := find_damage(folder)) is not None:
        logger.warning("%s: %s; computed again", folder, damage)
        return None
    return result


def find_record_damage(folder: Path) -> str | None:
    """What is wrong with the records and runs of a sealed folder; its checkpoint is not read."""
    return find_damage(folder, unread=(f"{_CHECKPOINT}/",))


def is_finished(result: JsonObject) -> bool:
    """Whether a record is of a finished experiment, written by a version that says every fact."""
    return bool(result["status"] == "done" and all(fact in result for fact in FACTS))


def keep_checkpoint(made: Path, folder: Path) -> None:
    """Copy a finished checkpoint of the store into an experiment's folder, whole or not at all."""
    kept, partial = folder / _CHECKPOINT, folder / f".{_CHECKPOINT}{PARTIAL}"
    if holds_files_of(kept, made):
        return
    unseal_folder(folder)
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(made, partial, ignore=shutil.ignore_patterns(MANIFEST))
    sync_tree(partial)
    shutil.rmtree(kept, ignore_errors=True)
    partial.replace(kept)
