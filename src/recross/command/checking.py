"""Every problem of a config, found before anything is built: key, rule and value of each."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import is_dataclass

from recross.command.plugins import find_plugins
from recross.command.signatures import (
    PACKAGE,
    PLUGINS,
    REFERRED_TO,
    TARGET,
    Node,
    drop_referred,
    explain_no_class,
    find_class,
    find_referred,
    is_node,
    is_part,
    list_items,
    list_parameters,
    read_element,
    read_hints,
    serves,
)
from recross.errors import ConfigError
from recross.parts import bounds
from recross.parts.closest import suggest
from recross.parts.hints import Hint, find_broken_rules
from recross.parts.secrets import find_secrets


def find_config_problems(values: Node) -> list[str]:
    """Every problem of a command's config; one of a group that others refer to is told once.

    While a plug-in cannot be imported, or a value is a secret, that alone is told.
    """
    return drop_copies(find_every_problem(values))


def find_every_problem(values: Node) -> list[str]:
    """The same, with those of a group that others refer to at each place."""
    try:
        packages = (PACKAGE, *find_plugins(values.get(PLUGINS, ())))
    except ConfigError as error:
        return error.problems
    if secrets := list(find_secrets(values)):  # other problems would show what they got
        return secrets
    referred = [
        problem
        for key in find_referred(values, packages)
        for problem in _find_value_problems(key, values[key], object, packages)
    ]
    return [*referred, *_find_node_problems("", drop_referred(values, packages), packages)]


def drop_copies(problems: Sequence[str]) -> list[str]:
    """Each problem once, without those that are told of the group itself."""
    referred = tuple(f"{key}{sign}" for key in REFERRED_TO for sign in ".:[")
    copies = tuple(f".{problem}" for problem in problems if problem.startswith(referred))
    return [one for one in dict.fromkeys(problems) if not one.endswith(copies)]


def _find_node_problems(path: str, node: Node, packages: Sequence[str]) -> Iterator[str]:
    """Every problem of a node, which stands at ``path``, and of the nodes below it."""
    prefix = f"{path}." if path else ""
    name = node.get(TARGET)
    target = find_class(name, packages)
    if target is None:
        yield f"{prefix}{TARGET}: {explain_no_class(name, packages)}"
        return
    if not is_dataclass(target):
        yield f"{prefix}{TARGET}: must name a dataclass, whose fields say what it is, got {name!r}"
        return
    parameters = list_parameters(target)
    arguments = {key: value for key, value in node.items() if key != TARGET}
    for key in arguments.keys() - parameters.keys():
        meant = suggest(key, parameters)
        yield f"{prefix}{key}: unknown; {name} takes {', '.join(parameters)}{meant}"
    given = {key: arguments.get(key, one.default) for key, one in parameters.items()}
    for key, value in given.items():
        if value is inspect.Parameter.empty:
            yield f"{prefix}{key}: missing; {name} needs it"
    defaults = given.keys() - arguments.keys()
    yield from _find_argument_problems(prefix, given, defaults, read_hints(target), packages)


def _find_argument_problems(
    prefix: str,
    given: Mapping[str, object],
    defaults: AbstractSet[str],
    hints: Mapping[str, Hint],
    packages: Sequence[str],
) -> Iterator[str]:
    """Every problem of each argument, and of those that have none, with the others."""
    sound = {key: given[key] for key in defaults}
    for key, value in given.items():
        if key not in defaults:
            problems = list(_find_value_problems(f"{prefix}{key}", value, hints[key], packages))
            yield from problems
            sound |= {} if problems else {key: value}
    for key in [key for key in given if key in sound and key not in defaults]:
        for problem in find_broken_rules(hints[key], sound[key], sound):
            yield f"{prefix}{key}: {problem}"


def _find_value_problems(
    path: str, value: object, hint: Hint, packages: Sequence[str]
) -> Iterator[str]:
    if is_node(value):
        yield from _find_node_problems(path, value, packages)
        if (target := find_class(value[TARGET], packages)) and not serves(target, hint):
            yield f"{path}: must be {_say_kind(hint)}, got {value[TARGET]!r}"
    elif (items := list_items(value, hint)) is not None:
        for step, item in items.items():
            yield from _find_value_problems(f"{path}{step}", item, read_element(hint), packages)
    elif is_part(hint) or is_part(read_element(hint)):
        yield f"{path}: must be {_say_kind(hint)}, got {value!r}"
    else:
        for where, problem in bounds.find_problems(hint, value):
            yield f"{path}{where}: {problem}"


def _say_kind(hint: Hint) -> str:
    return f"a {hint.__name__}" if inspect.isclass(hint) else str(hint)
