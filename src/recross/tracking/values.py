"""Records as flat cells, which trackers that draw tables take."""

from __future__ import annotations

from collections.abc import Mapping

from recross.records import Json, JsonObject


def flatten_cells(record: JsonObject, prefix: str = "") -> dict[str, Json]:
    """Texts, numbers and truths of a record by their paths, ``measures/MRR@10``; no lists."""
    flat: dict[str, Json] = {}
    for key, value in record.items():
        match value:
            case Mapping():
                flat |= flatten_cells(value, f"{prefix}{key}/")
            case str() | int() | float() | bool() | None:
                flat[f"{prefix}{key}"] = value
    return flat
