"""What a result was made by and from: the version of recross, the texts and the judgments."""

from __future__ import annotations

import importlib.metadata
import logging
from pathlib import Path

from recross.collections.collection import Collection
from recross.parts.identity import fingerprint
from recross.records import JsonObject

logger = logging.getLogger(__name__)


def find_own_version() -> str:
    """The version of recross that works."""
    return importlib.metadata.version("recross")


def describe_origin(collection: Collection, split: str | None = None) -> dict[str, object]:
    """The version that makes a file, and fingerprints of the data that it is made from.

    With one ``fingerprint``, two collections hold the same texts and judgments, with one of
    ``texts`` the same texts. ``judgments`` are those of a split, and its queries.
    """
    data = {
        "name": collection.name,
        "fingerprint": collection.fingerprint,
        "texts": collection.texts_fingerprint,
    }
    if split is not None:
        asked = {query_id: collection.queries[query_id] for query_id in collection.query_ids(split)}
        data["judgments"] = fingerprint(asked, collection.qrels(split))
    return {"recross": find_own_version(), "data": data}


def say_other_version(folder: Path, result: JsonObject) -> None:
    """Say it where another version of recross has made a result that is made again."""
    made_by = result.get("recross", find_own_version())
    if made_by != find_own_version():
        logger.warning(
            "%s: finished by recross %s, made again by %s", folder, made_by, find_own_version()
        )
