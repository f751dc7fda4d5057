"""What is wrong with the overrides of a command: each of them, and what was probably meant."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from hydra.core.override_parser.types import Override
from hydra.errors import MissingConfigException
from omegaconf import DictConfig, OmegaConf

from recross.command.catalogue import group_options_by_checkpoint
from recross.command.overrides import parse_overrides
from recross.command.signatures import TARGET
from recross.errors import ConfigError
from recross.parts.closest import suggest
from recross.parts.hints import shorten_value
from recross.parts.secrets import mask_secrets

Composer = Callable[[Sequence[str]], DictConfig]
"""Composes a config with overrides, or raises whatever Hydra does."""

MOST_OPTIONS_SHOWN = 20
"""More are named by what is like the one that was asked for."""
_QUOTED = re.compile(r"'([^']+)'")


class Mistake(NamedTuple):
    """An override that does not compose, and why."""

    override: Override
    error: Exception


def find_mistakes(
    compose: Composer, words: Sequence[str], error: Exception
) -> tuple[list[Mistake], DictConfig]:
    """Every override that does not compose, and the config that the others make.

    ``error`` is what all of them together raised.

    Raises:
        ConfigError: the config does not compose without any override either.
    """
    rest, found = list(words), list[Mistake]()
    while True:
        wrong = _find_named(rest, error)
        if wrong is None:
            wrong = _find_first_failing(compose, rest, error)
        found.append(Mistake(parse_overrides([rest.pop(wrong)])[0], error))
        try:
            return found, compose(rest)
        except Exception as next_error:  # noqa: BLE001  (whatever Hydra and its parsers raise)
            error = next_error


def _find_named(words: Sequence[str], error: Exception) -> int | None:
    """The place of the override that an error of Hydra names."""
    named = set(_QUOTED.findall(str(error).partition("Available options")[0]))
    for number, override in reversed([*enumerate(parse_overrides(words))]):
        if named & {f"{override.key_or_group}/{override.value()}", _say_key(override)}:
            return number
    return None


def _find_first_failing(compose: Composer, words: Sequence[str], error: Exception) -> int:
    """The place of the first override with which those before it do not compose."""
    for number in range(len(words) + 1):
        try:
            compose(words[:number])
        except Exception as found:  # noqa: BLE001  (whatever Hydra and its parsers raise)
            if number:
                return number - 1
            raise ConfigError([_shorten(found)]) from None
    raise ConfigError([_shorten(error)])


def explain_mistakes(
    mistakes: Sequence[Mistake], rest: DictConfig, groups: Sequence[str]
) -> list[str]:
    """What each mistake is, but those below an option that is itself one; secrets masked."""
    unknown = tuple(f"{place}." for place in find_unknown_options(mistakes))
    return [
        mask_secrets(_explain(mistake, rest, groups))
        for mistake in mistakes
        if not mistake.override.key_or_group.startswith(unknown)
    ]


def find_unknown_options(mistakes: Sequence[Mistake]) -> Iterator[str]:
    """Where the options stand that could not be found: what they hold is not known."""
    for override, error in mistakes:
        if isinstance(error, MissingConfigException):
            yield override.package or override.key_or_group


def _explain(mistake: Mistake, rest: DictConfig, groups: Sequence[str]) -> str:
    override, error = mistake
    match error:
        case MissingConfigException(missing_cfg_file=file, options=[*options]) if (
            file == f"{override.key_or_group}/{override.value()}"
        ):
            return _explain_option(override, options)
    if "Could not override" in str(error):
        return _explain_key(_say_key(override), rest, groups)
    if override.value() is None and "NoneType" in str(error):
        return f"{override.key_or_group}: must be an option of this group, got null"
    return f"{override.input_line}: {_shorten(error)}"


def _explain_option(override: Override, options: Sequence[str]) -> str:
    group, asked = override.key_or_group, str(override.value())
    if group == "reranker" and "/" in asked:
        loads = group_options_by_checkpoint(("reranker",)).get(asked)
        meant = loads[0] if loads else f"cross_encoder {group}.checkpoint={asked}"
        return (
            f"{group}: must be an option, not a checkpoint, got {asked!r};"
            f" did you mean {group}={meant}?"
        )
    listed = ", ".join(options)
    if len(options) > MOST_OPTIONS_SHOWN:
        listed = f"the {len(options)} that `recross options {group}` lists"
    return f"{group}: must be one of {listed}, got {asked!r}{suggest(asked, options)}"


def _explain_key(key: str, rest: DictConfig, groups: Sequence[str]) -> str:
    is_of_hydra = key.startswith("hydra")
    values = OmegaConf.to_container(rest, resolve=False)
    known = {
        place: node
        for place, node in _list_places("", values)
        if place.startswith("hydra") is is_of_hydra and not place.endswith(TARGET)
    }
    parent, _, own_name = key.rpartition(".")
    match known.get(parent):
        case dict(node):
            names = [str(name) for name in node if name != TARGET]
            return f"{key}: unknown; {parent} takes {', '.join(names)}{suggest(own_name, names)}"
        case None:
            return f"{key}: unknown{suggest(key, [*known, *groups])}"
        case value:
            return f"{key}: unknown; {parent} is {shorten_value(value)}, and takes no keys"


def _list_places(path: str, node: object) -> Iterator[tuple[str, object]]:
    """The keys of a config, each by its place, with what lies there."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield f"{path}{key}", value
            yield from _list_places(f"{path}{key}.", value)


def _say_key(override: Override) -> str:
    """What an override changes, as Hydra names it: ``reranker@teacher.reranker``."""
    package = f"@{override.package}" if override.package else ""
    return f"{override.key_or_group}{package}"


def _shorten(error: Exception) -> str:
    """What Hydra says, without its search path, which helps nobody."""
    return " ".join(f"{error}".partition("Config search path:")[0].split())
