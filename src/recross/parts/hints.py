"""Annotations as values: which kinds of values they allow, and within which bounds."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    Protocol,
    TypeAlias,
    Union,
    get_args,
    get_origin,
    runtime_checkable,
)

from annotated_types import Ge, Gt, Le, Lt

from recross.parts.closest import suggest
from recross.parts.names import TextForm

Hint: TypeAlias = Any
"""An annotation, for which Python has no type."""

PLAIN = {
    int: "a whole number",
    float: "a number",
    str: "text",
    bool: "true or false",
    Path: "a path",
}
"""Kinds of plain values, as an error calls them."""
SAID = {Gt: "above", Ge: "at least", Le: "at most", Lt: "below"}
"""How a single bound is said."""
LONGEST_SHOWN = 200
"""Characters of a value in an error."""
SAID_OF_ZERO = {Gt: "be positive", Ge: "not be negative"}


@dataclass(frozen=True)
class Below:
    """A bound: less than another argument of the same part."""

    argument: str


@dataclass(frozen=True)
class UpTo:
    """A bound: at most another argument of the same part."""

    argument: str


@dataclass(frozen=True)
class Filled:
    """A bound of collections: not empty; ``rule`` is what an error says, ``hold at least one``."""

    rule: str


@runtime_checkable
class ValueRule(Protocol):
    """A bound of a whole value that a part's own room declares, such as names of measures."""

    def find_problems(self, value: Any) -> Iterator[str]:
        """What it does not keep, ``must be …, got …`` of each."""


def is_plain(hint: Hint) -> bool:
    """Whether a hint allows plain values alone, or collections of them."""
    kinds = list(list_kinds(hint))
    return bool(kinds) and all(kind in (*PLAIN, NoneType) or _is_choice(kind) for kind in kinds)


def list_kinds(hint: Hint) -> Iterator[Hint]:
    """The kinds of plain values within a hint, of which a value must be one."""
    origin = _find_origin(hint)
    if origin is Annotated:
        yield from list_kinds(get_args(hint)[0])
    elif is_union(hint):
        for option in get_args(hint):
            yield from list_kinds(option)
    elif inspect.isclass(origin) and issubclass(origin, Sequence | Mapping):
        for argument in get_args(hint):
            if argument is not Ellipsis:
                yield from list_kinds(argument)
    else:
        yield hint


def is_union(hint: Hint) -> bool:
    """Whether a value may be of one or another of several hints."""
    return _find_origin(hint) in (Union, UnionType)


def shorten_value(value: object) -> str:
    """A value as an error shows it: paths as text, and of long text its beginning."""
    text = repr(str(value) if isinstance(value, Path) else value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."


def say_kinds(hint: Hint) -> str:
    """``a whole number or null``, ``fp32, bf16 or null``, ``a list of text``."""
    if _find_origin(hint) is Annotated:
        return say_kinds(get_args(hint)[0])
    origin = _find_origin(hint)
    if inspect.isclass(origin) and issubclass(origin, Sequence):
        return f"a list of {_say_single_kinds(hint)}"
    if inspect.isclass(origin) and issubclass(origin, Mapping):
        return f"a mapping to {_say_single_kinds(get_args(hint)[-1])}"
    return _say_single_kinds(hint)


def _say_single_kinds(hint: Hint) -> str:
    words: list[str] = []
    for kind in dict.fromkeys(list_kinds(hint)):
        choices = map(str, get_args(kind)) if _is_choice(kind) else [_say_kind(kind)]
        words += choices
    words.sort(key=lambda word: word == "null")
    *first, last = words
    return f"{', '.join(first)} or {last}" if first else last


def suggest_choice(hint: Hint, value: object) -> str:
    """``; did you mean bf16?``, for text that is none of the choices of a hint."""
    choices = [str(c) for kind in list_kinds(hint) if _is_choice(kind) for c in get_args(kind)]
    return suggest(str(value), choices)


def say_bounds(hint: Hint) -> str:
    """``be at least 1``, ``be positive``, ``lie in [0, 1)``; nothing where none is declared."""
    bounds = _find_bounds(hint)
    low, high = bounds.keys() & {Ge, Gt}, bounds.keys() & {Le, Lt}
    if low and high:
        opening, closing = "[" if Ge in low else "(", "]" if Le in high else ")"
        least, most = (bounds[side.pop()] for side in (low, high))
        return f"lie in {opening}{least}, {most}{closing}"
    for kind, bound in bounds.items():
        of_zero = SAID_OF_ZERO.get(kind) if bound == 0 else None
        return of_zero or f"be {SAID[kind]} {bound}"
    return ""


def find_broken_rules(hint: Hint, value: Any, others: Mapping[str, Any]) -> Iterator[str]:
    """What an argument does not keep of the bounds that are no numbers, with what it got.

    ``others`` are the sound arguments of its part.
    """
    for declared in _list_declared(hint) if value is not None else ():
        match declared:
            case Filled(rule) if not value:
                yield f"must {rule}, got none"
            case Below(name) | UpTo(name) if name not in others:
                continue  # it has a problem of its own
            case Below(name) if value >= others[name]:
                yield f"must lie in {_open_interval(hint)}, {name}={others[name]}), got {value}"
            case UpTo(name) if value > others[name]:
                yield f"must lie in {_open_interval(hint)}, {name}={others[name]}], got {value}"
            case TextForm() as form if (broken := form.find_broken(value)) is not None:
                yield f"must {broken}, got {shorten_value(value)}"
            case ValueRule() as rule:
                yield from rule.find_problems(value)


def _open_interval(hint: Hint) -> str:
    bounds = _find_bounds(hint)
    return f"[{bounds[Ge]}" if Ge in bounds else f"({bounds[Gt]}"


def _find_bounds(hint: Hint) -> dict[type, float]:
    """The bounds by numbers that a hint declares, by their kind."""
    return {type(bound): astuple(bound)[0] for bound in _list_declared(hint) if type(bound) in SAID}


def _list_declared(hint: Hint) -> Iterator[Hint]:
    """What a hint, or an option of a union, is annotated with."""
    if _find_origin(hint) is Annotated:
        yield from get_args(hint)[1:]
    for option in get_args(hint) if is_union(hint) else ():
        yield from _list_declared(option)


def _find_origin(hint: Hint) -> object:
    return get_origin(hint)


def _is_choice(hint: Hint) -> bool:
    return _find_origin(hint) is Literal


def _say_kind(kind: Hint) -> str:
    if kind is NoneType:
        return "null"
    return PLAIN.get(kind) or (f"a {kind.__name__}" if inspect.isclass(kind) else str(kind))
