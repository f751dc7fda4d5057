"""One page per study that needs nothing but a browser: no network, no other file."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from recross.experiment.texts import EXPLORED
from recross.records import Json, JsonObject
from recross.report.finished import Finished
from recross.report.page.exploration import (
    GroupTexts,
    System,
    explore,
    find_systems,
    read_texts,
)
from recross.report.page.page_data import collect_study
from recross.report.tables.rows import Row
from recross.writing.whole_files import write_whole

PAGE = "table.html"
LIMIT_BYTES = 3_000_000
SCRIPTS = (
    *("elements", "sorting", "downloads", "results", "quality", "intervals", "curves"),
    *("rankings", "explorer", "start"),
)


def write_page(rows: Sequence[Row], finished: Sequence[Finished], folder: Path) -> Path:
    """Write ``table.html``; returns its path."""
    return write_rendered(collect_page(rows, finished), folder)


def write_rendered(data: JsonObject, folder: Path) -> Path:
    """Write ``table.html`` with these data; returns its path."""
    path = folder / PAGE
    write_whole(path, render(data), errors="replace")
    return path


def collect_page(
    rows: Sequence[Row], finished: Sequence[Finished], limit_bytes: int = LIMIT_BYTES
) -> dict[str, Json]:
    """Everything that the page of finished experiments shows."""
    systems = find_systems(finished, [row.label for row in rows])
    data = collect_study(rows, finished)
    return add_exploration(data, systems, read_texts(finished), limit_bytes)


def add_exploration(
    data: JsonObject,
    systems: Sequence[System],
    texts: Mapping[str, GroupTexts],
    limit_bytes: int = LIMIT_BYTES,
) -> dict[str, Json]:
    """The data with queries to explore; fewer where the page grew too large."""
    size, rest = EXPLORED, _count_bytes(data)
    exploration = explore(systems, texts, size)
    while size and rest + _count_bytes(exploration) > limit_bytes:
        size //= 2
        exploration = explore(systems, texts, size)
    return {**data, "exploration": exploration}


def render(data: JsonObject) -> str:
    """The page with its data; a content policy lets it run its own script and nothing else."""
    parts = files("recross.report.page") / "parts"
    script = "".join(_read(parts / f"{name}.js") for name in SCRIPTS)
    style = _read(parts / "page.css")
    filled = {
        "style": style,
        "style_hash": _hash(style),
        "script": script,
        "script_hash": _hash(script),
        "title": _escaped(", ".join(data["studies"])),
        "data": embed_json(data),
    }
    pieces = re.split(r"\{\{ (\w+) \}\}", _read(parts / "page.html"))
    return "".join(filled[piece] if number % 2 else piece for number, piece in enumerate(pieces))


def embed_json(data: Json) -> str:
    """JSON that may stand in a ``script`` element, whatever texts hold; no number is infinite."""
    text = json.dumps(
        _keep_finite(data), ensure_ascii=False, separators=(",", ":"), allow_nan=False
    )
    for special in "<>&\u2028\u2029":
        text = text.replace(special, f"\\u{ord(special):04x}")
    return text


def _count_bytes(data: Json) -> int:
    return len(embed_json(data).encode("utf-8", "replace"))


def _keep_finite(value: Json) -> Json:
    match value:
        case Mapping():
            return {key: _keep_finite(item) for key, item in value.items()}
        case list() | tuple():
            return [_keep_finite(item) for item in value]
        case float() if not math.isfinite(value):
            return None
    return value


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _read(file: Traversable) -> str:
    return file.read_text(encoding="utf-8")
