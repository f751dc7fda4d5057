"""Overrides of a command line: quoted where Hydra's grammar would not read them, and parsed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override

from recross.command.catalogue import list_options
from recross.errors import ConfigError
from recross.parts.secrets import mask_secrets

STRUCTURED = re.compile(r"""['"\[\]{}$]""")
"""Values with these are lists, mappings, quotes or references: never quoted as a whole."""


def quote_override(word: str) -> str:
    """Quote what Hydra cannot read of a plain value, or of several apart by commas.

    Paths do contain it: ``retriever.checkpoint=outputs/…/seed=0/checkpoint``, ``läufe.trec``.
    """
    key, sign, value = word.partition("=")
    if not sign or STRUCTURED.search(value) or _parse(word) is not None:
        return word
    parts = [part if _parse(f"{key}={part}") else _quote(part) for part in value.split(",")]
    quoted = f"{key}={','.join(parts)}"
    return quoted if _parse(quoted) is not None else word


def parse_overrides(words: Sequence[str]) -> list[Override]:
    """Read overrides as Hydra does.

    Raises:
        ConfigError: with every one that cannot be parsed.
    """
    parsed = [_parse(word) for word in words]
    if problems := [_explain(word) for word, o in zip(words, parsed, strict=True) if o is None]:
        raise ConfigError(problems)
    return [override for override in parsed if override is not None]


def expand_globs(words: Sequence[str], extra_folders: Sequence[Path] = ()) -> list[str]:
    """The overrides with the options that match in place of ``group=glob(pattern)``.

    Raises:
        ConfigError: an override cannot be parsed, or no option matches.
    """
    parsed = parse_overrides(words)
    if not any(isinstance(override.value(), Glob) for override in parsed):
        return list(words)
    options = list_options(tuple(extra_folders))
    return [
        _expand(override, options) if isinstance(override.value(), Glob) else word
        for word, override in zip(words, parsed, strict=True)
    ]


def _expand(override: Override, options: dict[str, list[str]]) -> str:
    glob: object = override.value()
    group = override.key_or_group
    assert isinstance(glob, Glob)
    if not (matching := glob.filter(options.get(group, []))):
        raise ConfigError(
            [f"{group}: must match an option of this group, got {override.input_line}"]
        )
    return f"{override.get_key_element()}={','.join(matching)}"


def _parse(word: str) -> Override | None:
    try:
        (override,) = OverridesParser.create().parse_overrides([word])
    except Exception:  # noqa: BLE001  (Hydra's errors, and those of its parser)
        return None
    return override if override.key_or_group else None


def _explain(word: str) -> str:
    return (
        "override must be key=value as Hydra reads it, unusual characters in quotes"
        f""" ('key="value"'), got {mask_secrets(word)!r}"""
    )


def _quote(value: str) -> str:
    """Between double quotes; only backslashes before the closing one mean anything."""
    backslashes = len(value) - len(value.rstrip("\\"))
    return f'"{value}{chr(92) * backslashes}"'
