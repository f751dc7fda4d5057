"""Arguments of parts, checked against their signature: the same from YAML and from Python.

``depth: Annotated[int, Ge(1)] = 100`` declares a bound, ``skip: Annotated[int, Below("depth")]``
one by another argument; ``@checked`` below ``@dataclass`` checks every plain argument when a part
is made. ``__post_init__`` is left with what a signature cannot say. What no value may be needs no
bound: an infinite number, a whole number that JSON cannot keep, text that no file can hold.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from functools import cache
from pathlib import Path
from types import NoneType
from typing import Annotated, TypeAlias, TypeVar, get_type_hints

from annotated_types import Ge, Gt, Le, Lt
from pydantic import ConfigDict, TypeAdapter, ValidationError

from recross.errors import InputError
from recross.parts.fields import read_fields
from recross.parts.hints import (
    Below,
    Filled,
    Hint,
    UpTo,
    find_broken_rules,
    is_plain,
    is_union,
    list_kinds,
    say_bounds,
    say_kinds,
    shorten_value,
    suggest_choice,
)
from recross.parts.names import FileWithin, FolderName, OneLine
from recross.parts.secrets import find_secrets

__all__ = ["Below", "FileWithin", "Filled", "FolderName", "Ge", "Gt", "Le", "Lt", "OneLine", "UpTo"]
__all__ += ["Seed", "checked", "find_problems", "make_adapter"]

Seed: TypeAlias = Annotated[int, Ge(0), Le(2**32 - 1)]
"""A seed that every source of randomness here takes: NumPy's and torch's."""
UNWRITABLE = re.compile("[\0\ud800-\udfff]")
"""No path holds the first; the others are halves of characters, which UTF-8 cannot say."""
LARGEST = 2**53 - 1
"""Beyond it JSON's numbers, and every double, skip some whole numbers."""

_Checked = TypeVar("_Checked")


def checked(part: type[_Checked]) -> type[_Checked]:
    """Refuse plain arguments that their annotations do not allow, before the part's own rules.

    Raises:
        InputError: when a part is made; the message names the argument, the rule and the value.
    """
    own_rules = getattr(part, "__post_init__", None)  # its own, or what it inherits

    def check(self: _Checked) -> None:
        hints, plain = _find_hints(type(self))  # type: ignore[arg-type]
        values = {name: getattr(self, name) for name in hints}
        for problem in find_secrets(values):  # first: other errors show what they got
            raise InputError(problem)
        for name, hint in plain.items():
            for where, problem in find_problems(hint, values[name]):
                raise InputError(f"{name}{where} {problem}")
        values |= _settle_paths(self, plain, values)
        for name, hint in hints.items():
            for problem in find_broken_rules(hint, values[name], values):
                raise InputError(f"{name} {problem}")
        if own_rules is not None:
            own_rules(self)

    setattr(part, "__post_init__", check)  # noqa: B010  (a type checker knows no such name)
    return part


def _settle_paths(
    part: object, hints: Mapping[str, Hint], values: Mapping[str, object]
) -> dict[str, Path]:
    """Make a path of a text that was given for one, as Python's users write it."""
    found = {}
    for name, hint in hints.items():
        kinds = set(list_kinds(hint))
        match values[name]:
            case str() as text if Path in kinds and str not in kinds:
                found[name] = Path(text)
                object.__setattr__(part, name, found[name])
    return found


def find_problems(hint: Hint, value: object) -> Iterator[tuple[str, str]]:
    """What a value does not keep of a hint: where within the value, and the rule with what it got.

    True, false and text are no numbers, numbers are finite, and text can be written to a file.
    """
    if unfit := list(_find_unfit("", hint, value)):
        yield from unfit
        return
    try:
        make_adapter(hint).validate_python(value)
    except ValidationError as error:
        yield from _say(error, hint, value)


def _find_unfit(where: str, hint: Hint, value: object) -> Iterator[tuple[str, str]]:
    """What a value, or one within it, is that no argument of these kinds may be."""
    match value:
        case list() | tuple():
            for number, item in enumerate(value):
                yield from _find_unfit(f"{where}[{number}]", hint, item)
        case Mapping():
            for key, item in value.items():
                yield from _find_unfit(where, str, key)
                yield from _find_unfit(f"{where}.{key}", hint, item)
        case _ if rule := _find_unfit_rule(hint, value):
            yield where, f"must be {rule}, got {shorten_value(value)}"


def _find_unfit_rule(hint: Hint, value: object) -> str | None:
    kinds = set(list_kinds(hint))
    match value:
        case bool() if bool not in kinds and kinds & {int, float}:
            return say_kinds(hint)
        case float() if not math.isfinite(value):
            return "a finite number"
        case int() if abs(value) > LARGEST:
            return f"a whole number of at most {LARGEST}"
        case str() | Path():
            return _find_unfit_text(hint, kinds, str(value))
    return None


def _find_unfit_text(hint: Hint, kinds: set[Hint], text: str) -> str | None:
    if kinds <= {int, float, bool, NoneType}:
        return say_kinds(hint)
    if not text and Path in kinds and str not in kinds:
        return "a path, not empty"
    return "text that a file can hold" if UNWRITABLE.search(text) else None


def _say(error: ValidationError, hint: Hint, value: object) -> Iterator[tuple[str, str]]:
    problems = error.errors()
    is_beyond = any(p["type"].startswith(("greater_than", "less_than")) for p in problems)
    rule = say_bounds(hint) if is_beyond else ""
    if rule or not problems[0]["loc"] or is_union(hint):
        said = f"must {rule or f'be {say_kinds(hint)}'}, got {shorten_value(value)}"
        yield "", said + suggest_choice(hint, value)
        return
    for problem in problems:
        where = "".join(
            f"[{step}]" if isinstance(step, int) else f".{step}" for step in problem["loc"]
        )
        yield where, f"{_plain_message(problem['msg'])}, got {problem['input']!r}"


def _plain_message(message: str) -> str:
    """Pydantic's words for a value inside a list or a mapping, in ours."""
    return message.replace("Input should", "must").replace("must be a valid", "must be a")


@cache
def make_adapter(hint: Hint) -> TypeAdapter[object]:
    """What checks values of a hint and converts them, such as text to a path."""
    if is_dataclass(hint):
        return TypeAdapter(hint)
    return TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True))


@cache
def _find_hints(kind: type) -> tuple[Mapping[str, Hint], Mapping[str, Hint]]:
    """Annotations of a class's arguments, bounds included, and of those that are plain values."""
    every = get_type_hints(kind, include_extras=True)
    hints = {name: every[name] for name, declared in read_fields(kind).items() if declared.init}
    return hints, {name: hint for name, hint in hints.items() if is_plain(hint)}
