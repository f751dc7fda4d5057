"""Arguments of parts, checked against their signature: the same from YAML and from Python.

``depth: Annotated[int, Ge(1)] = 100`` declares a bound; ``@checked`` below ``@dataclass`` checks
every plain argument when a part is made. ``__post_init__`` is left with rules between arguments.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le, Lt
from pydantic import ConfigDict, TypeAdapter, ValidationError

from recross.errors import InputError

__all__ = ["Ge", "Gt", "Le", "Lt", "checked", "find_problems", "make_adapter"]

PLAIN = {
    int: "a whole number",
    float: "a number",
    str: "text",
    bool: "true or false",
    Path: "a path",
}
"""Kinds of plain values, as an error calls them."""

_Checked = TypeVar("_Checked")


def checked(part: type[_Checked]) -> type[_Checked]:
    """Refuse plain arguments that their annotations do not allow, before the part's own rules.

    Raises:
        InputError: when a part is made; the message names the argument, the rule and the value.
    """
    own = getattr(part, "__post_init__", None)  # its own, or what it inherits

    def check(self: Any) -> None:
        for name, hint in _find_plain_hints(type(self)).items():  # type: ignore[arg-type]
            for where, problem in find_problems(hint, getattr(self, name)):
                raise InputError(f"{name}{where} {problem}")
        if own is not None:
            own(self)

    setattr(part, "__post_init__", check)  # noqa: B010  (a type checker knows no such name)
    return part


def find_problems(hint: Any, value: Any) -> Iterator[tuple[str, str]]:
    """What a value does not keep of a hint: where within the value, and the rule with what it got.

    True and false are no numbers, and numbers are finite.
    """
    kinds = set(_kinds(hint))
    if isinstance(value, bool) and bool not in kinds and kinds & {int, float}:
        yield "", f"must be {_say_kinds(hint)}, got {value!r}"
    elif isinstance(value, float) and float in kinds and not math.isfinite(value):
        yield "", f"must be a finite number, got {value!r}"
    else:
        try:
            make_adapter(hint).validate_python(value)
        except ValidationError as error:
            yield from _say(error, hint, value)


def _say(error: ValidationError, hint: Any, value: Any) -> Iterator[tuple[str, str]]:
    problems = error.errors()
    bounds = [p for p in problems if p["type"].startswith(("greater_than", "less_than"))]
    if bounds or not problems[0]["loc"] or _is_union(hint):
        yield "", f"must {_say_bounds(hint) if bounds else f'be {_say_kinds(hint)}'}, got {value!r}"
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
def make_adapter(hint: Any) -> TypeAdapter[Any]:
    """What checks values of a hint and converts them, such as text to a path."""
    if inspect.isclass(hint) and hasattr(hint, "__dataclass_fields__"):
        return TypeAdapter(hint)
    return TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True))


@cache
def _find_plain_hints(part: Any) -> Mapping[str, Any]:
    """Annotations of the fields that hold plain values, their bounds included."""
    hints = get_type_hints(part, include_extras=True)
    declared = getattr(part, "__dataclass_fields__", {})
    names = [name for name, field in declared.items() if field.init]
    return {name: hints[name] for name in names if name in hints and _is_plain(hints[name])}


def _is_plain(hint: Any) -> bool:
    kinds = list(_kinds(hint))
    return bool(kinds) and all(kind in (*PLAIN, NoneType) or _is_choice(kind) for kind in kinds)


def _kinds(hint: Any) -> Iterator[Any]:
    """The kinds of plain values within a hint, of which a value must be one."""
    origin = get_origin(hint)
    if origin is Annotated:
        yield from _kinds(get_args(hint)[0])
    elif _is_union(hint):
        for option in get_args(hint):
            yield from _kinds(option)
    elif inspect.isclass(origin) and issubclass(origin, Sequence | Mapping):
        for argument in get_args(hint):
            if argument is not Ellipsis:
                yield from _kinds(argument)
    else:
        yield hint


def _is_union(hint: Any) -> bool:
    return get_origin(hint) in (Union, UnionType)


def _is_choice(hint: Any) -> bool:
    return get_origin(hint) is Literal


def _say_kinds(hint: Any) -> str:
    """``a whole number or null``, ``fp32, bf16 or null``."""
    words: list[str] = []
    for kind in dict.fromkeys(_kinds(hint)):
        choices = map(str, get_args(kind)) if _is_choice(kind) else [_say_kind(kind)]
        words += choices
    words.sort(key=lambda word: word == "null")
    *first, last = words
    return f"{', '.join(first)} or {last}" if first else last


def _say_kind(kind: Any) -> str:
    if kind is NoneType:
        return "null"
    return PLAIN.get(kind) or (f"a {kind.__name__}" if inspect.isclass(kind) else str(kind))


def _say_bounds(hint: Any) -> str:
    """``be at least 1``, ``be positive``, ``lie in [0, 1)``."""
    bounds = [bound for declared in _annotated(hint) for bound in get_args(declared)[1:]]
    low = next((b for b in bounds if isinstance(b, Ge | Gt)), None)
    high = next((b for b in bounds if isinstance(b, Le | Lt)), None)
    if low is not None and high is not None:
        opening = f"[{low.ge}" if isinstance(low, Ge) else f"({low.gt}"
        ending = f"{high.le}]" if isinstance(high, Le) else f"{high.lt})"
        return f"lie in {opening}, {ending}"
    if isinstance(low, Gt):
        return "be positive" if low.gt == 0 else f"be above {low.gt}"
    if isinstance(low, Ge):
        return "not be negative" if low.ge == 0 else f"be at least {low.ge}"
    return (
        f"be at most {high.le}" if isinstance(high, Le) else f"be below {getattr(high, 'lt', '')}"
    )


def _annotated(hint: Any) -> Iterator[Any]:
    if get_origin(hint) is Annotated:
        yield hint
    for argument in get_args(hint) if _is_union(hint) else ():
        yield from _annotated(argument)
