"""The same value with parts of it replaced, wherever in it they stand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar, cast

from recross.parts.fields import holds_fields, read_field_values

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Change = Callable[[DataclassInstance], DataclassInstance]

_Value = TypeVar("_Value")


def rebuild(value: _Value, change: Change) -> _Value:
    """Replace a part by what ``change`` makes of it, and then every part within that.

    Parts are dataclasses, in fields, tuples, lists and mappings. What ``change`` returns as it is
    stays the same object unless something within it is replaced.
    """
    return cast(_Value, _rebuild(value, change))


def _rebuild(value: Any, change: Change) -> Any:
    match value:
        case tuple() | list():
            items = [_rebuild(item, change) for item in value]
            same = all(new is old for new, old in zip(items, value, strict=True))
            return value if same else type(value)(items)
        case Mapping():
            named = {key: _rebuild(item, change) for key, item in value.items()}
            return value if all(named[key] is value[key] for key in value) else named
    return _rebuild_part(value, change) if holds_fields(value) else value


def _rebuild_part(value: DataclassInstance, change: Change) -> DataclassInstance:
    part = change(value)
    held = read_field_values(part)
    rebuilt = {name: _rebuild(old, change) for name, old in held.items()}
    changes = {name: new for name, new in rebuilt.items() if new is not held[name]}
    return replace(part, **changes) if changes else part
