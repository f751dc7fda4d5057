"""Arguments of parts, checked against their signature: the same from YAML and from Python.

``depth: Annotated[int, Ge(1)] = 100`` declares a bound, ``skip: Annotated[int, Below("depth")]``
one by another argument; ``@checked`` below ``@dataclass`` checks every plain argument when a part
is made. ``__post_init__`` is left with what a signature cannot say.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from functools import cache
from typing import TypeVar, get_type_hints

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
)

__all__ = ["Below", "Filled", "Ge", "Gt", "Le", "Lt", "UpTo"]
__all__ += ["checked", "find_problems", "make_adapter"]

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
        for name, hint in plain.items():
            for where, problem in find_problems(hint, values[name]):
                raise InputError(f"{name}{where} {problem}")
        for name, hint in hints.items():
            for problem in find_broken_rules(hint, values[name], values):
                raise InputError(f"{name} {problem}")
        if own_rules is not None:
            own_rules(self)

    setattr(part, "__post_init__", check)  # noqa: B010  (a type checker knows no such name)
    return part


def find_problems(hint: Hint, value: object) -> Iterator[tuple[str, str]]:
    """What a value does not keep of a hint: where within the value, and the rule with what it got.

    True and false are no numbers, and numbers are finite.
    """
    kinds = set(list_kinds(hint))
    match value:
        case bool() if bool not in kinds and kinds & {int, float}:
            yield "", f"must be {say_kinds(hint)}, got {value!r}"
        case float() if float in kinds and not math.isfinite(value):
            yield "", f"must be a finite number, got {value!r}"
        case _:
            try:
                make_adapter(hint).validate_python(value)
            except ValidationError as error:
                yield from _say(error, hint, value)


def _say(error: ValidationError, hint: Hint, value: object) -> Iterator[tuple[str, str]]:
    problems = error.errors()
    is_beyond = any(p["type"].startswith(("greater_than", "less_than")) for p in problems)
    rule = say_bounds(hint) if is_beyond else ""
    if rule or not problems[0]["loc"] or is_union(hint):
        yield "", f"must {rule or f'be {say_kinds(hint)}'}, got {value!r}"
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
