"""What makes a part what it is: its description, and the fingerprint it is kept under."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from collections.abc import Mapping
from dataclasses import Field, field, fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

from recross.parts.fields import holds_fields, read_field_values

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

READ = {"read": True}
"""Metadata of a field that names a hub id or a folder that will be read."""
HANDED_OVER = {"handed_over": True}
"""Metadata of a field that is filled from the session when work begins, never from a config."""

T = TypeVar("T")


@runtime_checkable
class ChangesScores(Protocol):
    """A value handed over to a part that knows what of it changes what the part computes."""

    @property
    def identity(self) -> Mapping[str, str]:
        """What changes scores, by name."""


def handed_over(default: T) -> T:
    """A field of a part for something that the session has: ``hardware``, ``store``, ``cache``."""
    declared: T = field(default=default, metadata=HANDED_OVER)
    return declared


def describe(value: object) -> Any:
    """What a value is, in JSON: a dataclass by its class and the fields that make it what it is.

    Fields declared ``compare=False`` are left out; of what the session hands over, only what says
    that it changes scores (hardware: its precision and back-end) is described.
    Files and folders that are read, paths and fields declared with ``metadata=READ``, are described
    with the state of their content, so that nothing made from an older state is taken for theirs; a
    field whose metadata holds a function ``revision``, with the revision that it tells of a name.
    """
    if holds_fields(value):
        return _describe_part(value)
    match value:
        case Mapping():
            return {str(key): describe(item) for key, item in value.items()}
        case frozenset() | set():
            return sorted(describe(item) for item in value)
        case list() | tuple():
            return [describe(item) for item in value]
        case Path():
            return describe_state(value)
        case None | str() | int() | float():
            return value
    raise TypeError(f"cannot describe a {type(value).__name__}: {value!r}")


def _describe_part(part: DataclassInstance) -> Mapping[str, Any]:
    kind, values = type(part), read_field_values(part)
    named = {
        declared.name: _describe_field(declared, values[declared.name])
        for declared in fields(part)
        if declared.compare and _tells(declared, values[declared.name])
    }
    return {"class": name_class(kind), **_describe_origin(kind), **named}


def name_class(kind: type) -> str:
    """The class's own name, wherever its module stands; with its module if it is not ours."""
    ours = kind.__module__.startswith("recross.")
    return kind.__qualname__ if ours else f"{kind.__module__}.{kind.__qualname__}"


def _describe_origin(kind: type) -> Mapping[str, str]:
    """The version of the installed package that a class not of ours comes from."""
    package = kind.__module__.partition(".")[0]
    version = None if package == "recross" else _find_version(package)
    return {} if version is None else {"version": version}


@cache
def _find_version(package: str) -> str | None:
    distributions = importlib.metadata.packages_distributions().get(package)
    return importlib.metadata.version(distributions[0]) if distributions else None


def is_handed_over(declared: Field[object]) -> bool:
    """Whether a field is filled from the session."""
    return bool(declared.metadata.get("handed_over"))


def _tells(declared: Field[object], value: object) -> bool:
    return not is_handed_over(declared) or isinstance(value, ChangesScores)


def _describe_field(declared: Field[object], value: Any) -> Any:
    if is_handed_over(declared):
        return describe(value.identity)
    if not declared.metadata.get("read") or holds_fields(value):
        return describe(value)
    find_revision = declared.metadata.get("revision")
    revision = find_revision(value) if find_revision is not None else None
    return describe_state(Path(value)) + (f"@{revision}" if revision is not None else "")


def describe_state(path: Path) -> str:
    """The path and, where it exists, a digest of the names, sizes and times of its files."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    states = [(str(f), f.stat().st_size, f.stat().st_mtime_ns) for f in files if f.is_file()]
    if not states:
        return str(path)
    return f"{path} ({hashlib.sha256(repr(states).encode()).hexdigest()[:16]})"


def fingerprint(*parts: object) -> str:
    """Sixteen hexadecimal digits that differ when any described part differs."""
    text = json.dumps(describe(parts), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
