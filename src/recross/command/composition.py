"""From overrides to values: a command's config composed by Hydra, resolved, saved."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from recross.command.catalogue import find_config_folder
from recross.command.checking import find_config_problems
from recross.command.hydra_settings import find_needed_launcher, find_setting_problems
from recross.command.mistakes import explain_mistakes, find_mistakes, find_unknown_options
from recross.command.naming import rename_changed
from recross.command.overrides import parse_overrides, quote_override
from recross.command.plugins import find_option_folders, find_plugins
from recross.command.resolvers import register_resolvers
from recross.command.saved import locate_primary, note_version
from recross.command.signatures import PLUGINS, Node
from recross.errors import ConfigError, InputError
from recross.parts.secrets import mask_secrets
from recross.records import Json
from recross.writing.whole_files import write_whole

register_resolvers()

SEARCH_PATH = "hydra.searchpath"


def find_extra_folders(words: Sequence[str], extra_folder: str | None = None) -> list[Path]:
    """The folders of options beside ours: one that is given, and those of plug-ins.

    Raises:
        ConfigError: an override cannot be parsed, or a plug-in cannot be imported.
        InputError: there is no such folder.
    """
    if extra_folder and not Path(extra_folder).is_dir():
        raise InputError(f"--config-dir must be a folder, got {extra_folder!r}")
    given = {override.key_or_group: override for override in parse_overrides(words)}
    listed = given[PLUGINS].value() if PLUGINS in given else ()
    folders = [Path(extra_folder).resolve()] if extra_folder else []
    return folders + find_option_folders(find_plugins(listed))


def add_option_folders(words: Sequence[str], extra_folder: str | None = None) -> list[str]:
    """The overrides, and where Hydra finds options beside ours: a folder, and those of plug-ins.

    Raises:
        ConfigError: as ``find_extra_folders`` does.
    """
    folders = find_extra_folders(words, extra_folder)
    if not folders:
        return list(words)
    given = {override.key_or_group: override for override in parse_overrides(words)}
    before = given[SEARCH_PATH].value() if SEARCH_PATH in given else []
    searched = before if isinstance(before, list) else [before]
    places = dict.fromkeys([*map(str, searched), *(f"file://{folder}" for folder in folders)])
    others = [word for word in words if not word.startswith(f"{SEARCH_PATH}=")]
    return [*others, f"{SEARCH_PATH}=[{','.join(map(repr, places))}]"]


def refuse_groups_twice(words: Sequence[str], extra_folder: str | None) -> None:
    """Refuse two options for one group, of which Hydra would take the last without a word.

    Raises:
        ConfigError: with every group that is given twice, and its options.
    """
    roots = [find_config_folder(), *find_extra_folders(words, extra_folder)]
    given: dict[str, list[str]] = {}
    for override, word in zip(parse_overrides(words), words, strict=True):
        if any((root / override.key_or_group).is_dir() for root in roots):
            place = f"@{override.package}" if override.package else ""
            key = f"{override.key_or_group}{place}"
            given.setdefault(key, []).append(word.partition("=")[2] or word)
    twice = {key: options for key, options in given.items() if len(options) > 1}
    if twice:
        raise ConfigError(
            [
                f"{key}: must be given once, got {' and '.join(map(mask_secrets, options))}"
                for key, options in twice.items()
            ]
        )


def compose_values(
    command: str | Path, overrides: Sequence[str] = (), extra_folder: str | None = None
) -> dict[str, Json]:
    """Compose a command's config, or a saved one, and resolve it: all its values, as data.

    Raises:
        ConfigError: as ``compose_config`` and ``resolve_config`` do.
    """
    return resolve_config(compose_config(command, overrides, extra_folder))


def compose_config(
    command: str | Path, overrides: Sequence[str] = (), extra_folder: str | None = None
) -> DictConfig:
    """Compose a command's config, or a saved one, ``hydra`` node included.

    Raises:
        ConfigError: an option or key is unknown, an override or a file cannot be parsed, or what is
            said to Hydra itself would run other code or write elsewhere.
    """
    GlobalHydra.instance().clear()
    words = add_option_folders([*map(quote_override, overrides)], extra_folder)
    folder, name = locate_primary(command)
    with initialize_config_dir(folder, version_base="1.3"):
        composed = _compose_or_explain(name, words)
    if problems := list(_find_replaced(composed, words)):
        raise ConfigError(problems)
    refuse_settings(composed)
    return composed


def _find_replaced(composed: DictConfig, words: Sequence[str]) -> Iterator[str]:
    """Options that were asked for and whose checkpoint something else in the config replaces."""
    choices = composed.hydra.runtime.choices
    asked = {given.package or given.key_or_group: given for given in parse_overrides(words)}
    for choice in choices:
        group, _, place = choice.partition("@")
        part, _, value = place.rpartition(".")
        if group == "trained" and value == "checkpoint" and part in asked and place not in asked:
            word = asked[part].input_line
            yield (
                f"{part}: its checkpoint is trained by {choice}={choices[choice]}, which takes the"
                f" place of that of {word}; leave it out with '~{choice}', or {word} itself"
            )


def refuse_settings(composed: DictConfig) -> None:
    """Refuse what a composed config says to Hydra itself and must not.

    Raises:
        ConfigError: it would run other code or write elsewhere, or needs what is not installed.
    """
    HydraConfig.instance().set_config(composed)
    settings = _resolve_settings(composed.hydra)
    assert isinstance(settings, dict)
    output = _resolve_value(composed, "output") if "output" in composed else ""
    if problems := list(find_setting_problems(settings, str(output))):
        raise ConfigError(problems)


def _compose_or_explain(name: str, words: Sequence[str]) -> DictConfig:
    compose_with = partial(compose, name, return_hydra_config=True)
    try:
        return compose_with(list(words))
    except Exception as error:  # noqa: BLE001  (of Hydra, its parser, or where a value is odd)
        if needed := find_needed_launcher(str(error)):
            raise ConfigError([needed]) from None
        mistakes, rest = find_mistakes(compose_with, words, error)
    problems = explain_mistakes(mistakes, rest, [*rest.hydra.runtime.choices])
    unknown = tuple(f"{place}." for place in find_unknown_options(mistakes))
    others = (problem for problem in _find_problems(rest) if not problem.startswith(unknown))
    raise ConfigError([*problems, *others])


def _find_problems(cfg: DictConfig) -> list[str]:
    """Every problem of a composed config's values."""
    try:
        return find_config_problems(resolve_config(cfg))
    except ConfigError as error:
        return error.problems


def _resolve_settings(node: object) -> Json:
    """Hydra's own node as data; what only a running job has stays as it is written."""
    match node:
        case DictConfig():
            return {str(key): _resolve_settings(_resolve_value(node, key)) for key in node}
        case ListConfig():
            return [_resolve_settings(_resolve_value(node, n)) for n in range(len(node))]
    return node


def _resolve_value(node: DictConfig | ListConfig, key: Any) -> object:
    try:
        return None if OmegaConf.is_missing(node, key) else node[key]
    except OmegaConfBaseException:
        return str(node._get_node(key))


def resolve_config(cfg: DictConfig) -> dict[str, Json]:
    """The config's values with every interpolation resolved, without the ``hydra`` node.

    Raises:
        ConfigError: a mandatory value (``???``) is missing (all of them are named), or one refers
            to a value that is not there, as of another option.
    """
    if "hydra" in cfg:  # inside a job Hydra has taken its own node out already
        HydraConfig.instance().set_config(cfg)
    values = OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key != "hydra"])
    try:
        if missing := sorted(OmegaConf.missing_keys(values)):
            raise ConfigError([*_find_missing(values, missing)])
        return rename_changed(cast(dict[str, Json], OmegaConf.to_container(values, resolve=True)))
    except OmegaConfBaseException as error:
        raise ConfigError([f"{error.full_key}: {str(error).splitlines()[0]}"]) from None


def _find_missing(values: DictConfig, missing: Sequence[str]) -> Iterator[str]:
    """What must be given, and what is wrong with the values that are."""
    yield from (f"{key}: must be given, got nothing" for key in missing)
    try:
        others = cast(dict[str, Json], OmegaConf.to_container(values, resolve=True))
    except OmegaConfBaseException:  # they refer to what is missing
        return
    told = tuple(f"{key}:" for key in missing)
    yield from (one for one in find_config_problems(others) if not one.startswith(told))


def save_config(values: Node, path: Path) -> None:
    """Write a resolved config as YAML, below a line that says which version did."""
    write_whole(path, note_version() + OmegaConf.to_yaml(OmegaConf.create(dict(values))))


def read_config(path: Path) -> dict[str, Json]:
    """Read a resolved config that was written.

    Raises:
        InputError: there is no such file, or it holds no config.
    """
    if not path.is_file():
        raise InputError(f"config must exist, got {str(path)!r}")
    try:
        return cast(dict[str, Json], OmegaConf.to_container(OmegaConf.load(path), resolve=True))
    except (OmegaConfBaseException, YAMLError, UnicodeDecodeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"config must be YAML, got {str(path)!r} ({reason})") from None
