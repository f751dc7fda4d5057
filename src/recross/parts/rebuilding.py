"""The same value with parts of it replaced, wherever in it they stand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar, cast

_Value = TypeVar("_Value")


def rebuild(value: _Value, change: Callable[[Any], Any]) -> _Value:
    """Replace a part by what ``change`` makes of it, and then every part within that.

    Parts are dataclasses, in fields, tuples, lists and mappings. What ``change`` returns as it is
    stays the same object unless something within it is replaced.
    """
    return cast(_Value, _rebuild(value, change))


def _rebuild(value: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(value, tuple | list):
        items = [_rebuild(item, change) for item in value]
        same = all(new is old for new, old in zip(items, value, strict=True))
        return value if same else type(value)(items)
    if isinstance(value, Mapping):
        named = {key: _rebuild(item, change) for key, item in value.items()}
        return value if all(named[key] is value[key] for key in value) else named
    if not is_dataclass(value) or isinstance(value, type):
        return value
    part: Any = change(value)
    held = {declared.name: getattr(part, declared.name) for declared in fields(part)}
    rebuilt = {name: _rebuild(old, change) for name, old in held.items()}
    changes = {name: new for name, new in rebuilt.items() if new is not held[name]}
    return replace(part, **changes) if changes else part
