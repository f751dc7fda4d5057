"""Parts are dataclasses: what fields a class declares, and what a part holds in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, fields, is_dataclass
from typing import TYPE_CHECKING, TypeGuard

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def holds_fields(value: object) -> TypeGuard[DataclassInstance]:
    """Whether a value is a part: an instance of a dataclass, not the class itself."""
    return is_dataclass(value) and not isinstance(value, type)


def read_fields(kind: type) -> Mapping[str, Field[object]]:
    """The fields that a class declares, by name; none where it is no dataclass."""
    return {declared.name: declared for declared in fields(kind)} if is_dataclass(kind) else {}


def read_field_values(part: DataclassInstance) -> dict[str, object]:
    """What a part holds in its fields, by name."""
    return {declared.name: getattr(part, declared.name) for declared in fields(part)}
