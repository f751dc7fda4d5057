"""Classes that a config names by ``_target_``, and what each argument of theirs takes."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import is_dataclass
from typing import Any, TypeAlias, TypeGuard, get_args, get_origin, get_type_hints

from recross.machine.packages import is_installed
from recross.parts.fields import read_fields
from recross.parts.hints import Hint, is_plain
from recross.parts.identity import is_handed_over

PACKAGE = "recross"
TARGET = "_target_"
REFERRED_TO = ("negatives",)
"""Groups at the root of a config that other parts take, as ``${negatives}``.

They are no arguments there, unless the command has one of that name.
"""
PLUGINS = "plugins"
"""The key at the root of a config that lists packages; no argument either."""
OF_EXTRAS = {
    f"{PACKAGE}.retrieval.approximate_index": "faiss",
    f"{PACKAGE}.tracking.weights_and_biases": "wandb",
}
"""Modules of ours that import the package of an extra, which has its name."""
Node: TypeAlias = Mapping[str, object]
"""A part as data: its class under ``_target_``, and its arguments."""


def find_class(name: object, packages: Sequence[str]) -> type | None:
    """The class that a config names, if it is one of these packages."""
    if not _is_within(name, packages) or _find_lacking(name):
        return None
    module, _, own_name = name.rpartition(".")
    try:
        named = getattr(importlib.import_module(module), own_name)
    except Exception:  # noqa: BLE001  (whatever an import may raise, the name is no target)
        return None
    return named if inspect.isclass(named) else None


def explain_no_class(name: object, packages: Sequence[str]) -> str:
    """Say why ``find_class`` finds none: no such name, or a module that does not import."""
    refusal = f"must name a class of {' or '.join(packages)}, got {name!r}"
    if not _is_within(name, packages):
        return refusal
    if (lacking := _find_lacking(name)) is not None:
        return f"{name} needs the package {lacking}; pip install 'recross[{lacking}]'"
    module = name.rpartition(".")[0]
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        is_absent = f"{module}.".startswith(f"{error.name}.")
        return refusal if is_absent else f"{refusal} ({error})"
    except Exception as error:  # noqa: BLE001  (whatever else an import may raise)
        return f"{refusal} ({type(error).__name__}: {error})"
    return refusal


def list_parameters(target: type) -> dict[str, inspect.Parameter]:
    """What a config may give: every parameter but those that the session hands over."""
    handed_over = {
        name for name, declared in read_fields(target).items() if is_handed_over(declared)
    }
    every = inspect.signature(target).parameters
    return {name: parameter for name, parameter in every.items() if name not in handed_over}


def read_hints(target: type) -> Mapping[str, Hint]:
    """The annotations of a class's arguments, bounds of plain values included."""
    bare, whole = get_type_hints(target), get_type_hints(target, include_extras=True)
    return {name: hint if is_plain(hint) else bare[name] for name, hint in whole.items()}


def drop_referred(values: Node, packages: Sequence[str]) -> Node:
    """The arguments of a command: all values but those that only parts refer to, and plug-ins."""
    dropped = {*find_referred(values, packages), PLUGINS}
    return {key: value for key, value in values.items() if key not in dropped}


def find_referred(values: Node, packages: Sequence[str]) -> set[str]:
    """The groups of a command's config that parts refer to and it does not take itself."""
    target = find_class(values.get(TARGET), packages)
    own = list_parameters(target) if target is not None else {}
    return {key for key in REFERRED_TO if key in values and key not in own}


def is_node(value: object) -> TypeGuard[Node]:
    """Whether a value describes a part."""
    return isinstance(value, Mapping) and TARGET in value


def list_items(value: object, hint: Hint) -> dict[str, object] | None:
    """What a list or a mapping of parts holds, by its step in a path; ``None``: it is neither."""
    match value:
        case list():
            items = {f"[{number}]": item for number, item in enumerate(value)}
        case Mapping():
            items = {f".{key}": item for key, item in value.items()}
        case _:
            return None
    return items if is_part(read_element(hint)) or any(map(is_node, items.values())) else None


def read_element(hint: Hint) -> Hint:
    """The annotation of what a list or a mapping of this kind holds."""
    origin: object = get_origin(hint)
    if not inspect.isclass(origin) or not issubclass(origin, Sequence | Mapping):
        return Any
    arguments = [argument for argument in get_args(hint) if argument is not Ellipsis]
    return arguments[-1 if issubclass(origin, Mapping) else 0]


def is_part(hint: Hint) -> bool:
    """Whether an argument takes a part: one of the package's own classes, or a plug-in's."""
    is_ours = inspect.isclass(hint) and hint.__module__.startswith(f"{PACKAGE}.")
    return is_ours or is_dataclass(hint)


def serves(target: type, hint: Hint) -> bool:
    """Whether an instance of ``target`` can stand where ``hint`` is asked for."""
    origin: object = get_origin(hint)
    if origin is Callable:
        return "__call__" in vars(target)
    if not inspect.isclass(hint):
        return True
    if getattr(hint, "_is_protocol", False):
        members = [member for member in vars(hint) if not member.startswith("_")]
        return all(hasattr(target, m) or m in read_fields(target) for m in members)
    return issubclass(target, hint)


def _find_lacking(name: str) -> str | None:
    """The package of an extra that the module of a class imports, where it is not installed."""
    package = OF_EXTRAS.get(name.rpartition(".")[0])
    return package if package is not None and not is_installed(package) else None


def _is_within(name: object, packages: Sequence[str]) -> TypeGuard[str]:
    """Whether a name is one within these packages."""
    return isinstance(name, str) and any(name.startswith(f"{package}.") for package in packages)
