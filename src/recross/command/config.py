"""The composition root: from a composed config to library objects.

With ``cli.py`` the only home of Hydra and OmegaConf. Every value is checked against the signature
it feeds before anything is built, and all problems are reported together.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from recross.errors import InputError
from recross.parts import bounds
from recross.parts.identity import fingerprint, is_handed_over

PACKAGE = "recross."
TARGET = "_target_"
COMMANDS = ("run", "retrieve", "train", "rerank")
UNNAMED = frozenset(
    (
        *("retriever", "reranker", "row", "experiment", "study", "name", "label"),
        *("seed", "output", "store", "reuse", "tracking", "latency_queries", "cache"),
    )
)
LONGEST_NAME = 120
UNNAMED_BELOW = ("tracking.", "cache.", "hydra.", "hydra/")
PLAIN_WITH_SIGN = re.compile(r"""^([^=\s]+)=([^'"\[\]{}$,\s=]*=[^'"\[\]{}$,\s]*)$""")
MODULE_OF_CLASS = re.compile(r"(_target_:)\s*[\w.]*\.")
Node = Mapping[str, Any]


def _name() -> str:
    """Readable name of a combination: first stage, re-ranker, and whatever else was asked for."""
    hydra: Any = HydraConfig.get()
    choices = hydra.runtime.choices
    parts = [choices.get("retriever", ""), choices.get("reranker", "")]
    for override in sorted(hydra.overrides.task):
        key, _, value = override.lstrip("+~").partition("=")
        group, _, inside = key.partition("@")
        if inside or (group not in UNNAMED and not group.startswith(UNNAMED_BELOW)):
            part = inside.removesuffix(f".{group}") or group  # a re-ranker's place in another one
            value = MODULE_OF_CLASS.sub(r"\1", value.rpartition("/")[2])
            parts.append(f"{part.rpartition('.')[2]}={value}")
    name = ".".join(part for part in parts if part).replace(" ", "")
    if len(name) > LONGEST_NAME:  # a folder's name has an end
        name = f"{name[:LONGEST_NAME]}-{fingerprint(name)[:8]}"
    return name


OmegaConf.register_new_resolver("recross.name", _name, replace=True)


class ConfigError(InputError):
    """A config that cannot be built; its message lists every problem, one a line."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = list(problems)


def config_folder() -> Path:
    """The folder of the shipped configs: the checkout's, or the installed package's own."""
    package = Path(__file__).parents[1]
    checkout = package.parents[1] / "conf"
    return checkout if (checkout / "run.yaml").is_file() else package / "conf"


@cache
def options() -> dict[str, list[str]]:
    """Every group of the shipped configs and the options it offers."""
    return {
        folder.name: sorted(
            path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.yaml")
        )
        for folder in sorted(config_folder().iterdir())
        if folder.is_dir() and folder.name != "hydra"
    }


def about(group: str, name: str) -> str:
    """What an option says of itself: the comment in the first line of its file."""
    path = config_folder() / group / f"{name}.yaml"
    first = next(
        line for line in path.read_text(encoding="utf-8").splitlines() if "@package" not in line
    )
    return first.removeprefix("#").strip() if first.startswith("#") else ""


@cache
def rerankers_of_checkpoints() -> dict[str, list[str]]:
    """The re-ranker options that load each checkpoint themselves."""
    found: dict[str, list[str]] = {}
    for name in options()["reranker"]:
        path = config_folder() / "reranker" / f"{name}.yaml"
        values = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
        checkpoint = values.get("checkpoint") if isinstance(values, dict) else None
        if isinstance(checkpoint, str):
            found.setdefault(checkpoint, []).append(name)
    return found


def save_config(values: Node, path: Path) -> None:
    """Write a resolved config as YAML."""
    path.parent.mkdir(parents=True, exist_ok=True)
    OmegaConf.save(OmegaConf.create(dict(values)), path)


def quoted(word: str) -> str:
    """An override whose value holds a bare equals sign, as our own folders do, in quotes.

    ``retriever.checkpoint=outputs/…/seed=0/checkpoint`` is more than Hydra's grammar can parse.
    """
    return PLAIN_WITH_SIGN.sub(r'\1="\2"', word)


def composed(
    command: str, overrides: Sequence[str] = (), extra_folder: str | None = None
) -> DictConfig:
    """Compose a command's config, ``hydra`` node included.

    Raises:
        ConfigError: an option or key is unknown, or an override cannot be parsed.
    """
    GlobalHydra.instance().clear()
    more = [f"hydra.searchpath=[file://{Path(extra_folder).resolve()}]"] if extra_folder else []
    try:
        with initialize_config_dir(str(config_folder()), version_base="1.3"):
            cfg = compose(command, [*map(quoted, overrides), *more], return_hydra_config=True)
    except (HydraException, OmegaConfBaseException) as error:
        cause = f" ({error.__cause__})" if isinstance(error.__cause__, HydraException) else ""
        raise ConfigError([_plain(f"{error}{cause}")]) from None
    return cfg


def resolved(cfg: DictConfig) -> dict[str, Any]:
    """The config's values with every interpolation resolved, without the ``hydra`` node.

    Raises:
        ConfigError: a mandatory value (``???``) is missing (all of them are named), or one refers
            to a value that is not there, as of another option.
    """
    if "hydra" in cfg:  # inside a job Hydra has taken its own node out already
        HydraConfig.instance().set_config(cfg)
    own = OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key != "hydra"])
    try:
        missing = sorted(OmegaConf.missing_keys(own))
        values = {} if missing else OmegaConf.to_container(own, resolve=True)
    except OmegaConfBaseException as error:
        raise ConfigError([f"{error.full_key}: {str(error).splitlines()[0]}"]) from None
    if missing:
        raise ConfigError([f"{key}: must be given, got nothing" for key in missing])
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items()}


def build(values: Node) -> Any:
    """Build what a config describes; check every argument of every part before building any.

    Raises:
        ConfigError: naming each unknown target, unknown key, missing key and ill-typed value.
    """
    if problems := list(find_problems("", values)):
        raise ConfigError(problems)
    return _construct("", values)


def find_problems(path: str, node: Node) -> Iterator[str]:
    """Every problem of a node and of the nodes below it, each with key, rule and value."""
    prefix = f"{path}." if path else ""
    name = node.get(TARGET)
    target = _target(name)
    if target is None:
        yield f"{prefix}{TARGET}: must name a class of {PACKAGE[:-1]}, got {name!r}"
        return
    parameters = _parameters(target)
    hints = _hints(target)
    arguments = {key: value for key, value in node.items() if key != TARGET}
    for key in arguments.keys() - parameters.keys():
        yield f"{prefix}{key}: unknown; {name} takes {', '.join(parameters)}"
    for key, parameter in parameters.items():
        if key in arguments:
            yield from _value_problems(f"{prefix}{key}", arguments[key], hints.get(key, Any))
        elif parameter.default is inspect.Parameter.empty:
            yield f"{prefix}{key}: missing; {name} needs it"


def _value_problems(path: str, value: Any, hint: Any) -> Iterator[str]:
    if _is_node(value):
        yield from find_problems(path, value)
        if (target := _target(value.get(TARGET))) and not _serves(target, hint):
            yield f"{path}: must be {_plain_name(hint)}, got {value[TARGET]!r}"
    elif (items := _items(value, hint)) is not None:
        for step, item in items.items():
            yield from _value_problems(f"{path}{step}", item, _element(hint))
    elif _is_part(hint) or _is_part(_element(hint)):
        yield f"{path}: must be {_plain_name(hint)}, got {value!r}"
    else:
        for where, problem in bounds.find_problems(hint, value):
            yield f"{path}{where}: {problem}"


def _construct(path: str, node: Node) -> Any:
    target: Any = _target(node[TARGET])
    hints = _hints(target)
    arguments = {
        key: _construct_value(f"{path}.{key}" if path else key, value, hints.get(key, Any))
        for key, value in node.items()
        if key != TARGET
    }
    try:
        return target(**arguments)
    except ConfigError:
        raise
    except InputError as error:
        raise ConfigError([f"{path}: {error}" if path else str(error)]) from None


def _construct_value(path: str, value: Any, hint: Any) -> Any:
    if _is_node(value):
        return _construct(path, value)
    if (items := _items(value, hint)) is not None:
        inner = _element(hint)
        parts = [_construct_value(f"{path}{step}", item, inner) for step, item in items.items()]
        return dict(zip(value, parts, strict=True)) if isinstance(value, Mapping) else tuple(parts)
    return bounds.adapter(hint).validate_python(value)


def _target(name: Any) -> Any:
    """The class of a target inside the package, or ``None``."""
    if not isinstance(name, str) or not name.startswith(PACKAGE):
        return None
    try:
        found = get_object(name)
    except Exception:  # noqa: BLE001  (whatever an import may raise, the name is no target)
        return None
    return found if inspect.isclass(found) else None


def _parameters(target: Any) -> dict[str, inspect.Parameter]:
    """What a config may name: every parameter but those that the session hands over."""
    handed_over = {name for name, declared in _fields(target).items() if is_handed_over(declared)}
    every = inspect.signature(target).parameters
    return {name: parameter for name, parameter in every.items() if name not in handed_over}


def _hints(target: Any) -> dict[str, Any]:
    return get_type_hints(target, include_extras=True)


def _is_node(value: Any) -> bool:
    return isinstance(value, Mapping) and TARGET in value


def _items(value: Any, hint: Any) -> dict[str, Any] | None:
    """What a list or a mapping of parts holds, by its step in a path; ``None``: it is neither."""
    if isinstance(value, list):
        items = {f"[{number}]": item for number, item in enumerate(value)}
    elif isinstance(value, Mapping):
        items = {f".{key}": item for key, item in value.items()}
    else:
        return None
    return items if _is_part(_element(hint)) or any(map(_is_node, items.values())) else None


def _element(hint: Any) -> Any:
    """What a list or a mapping of this kind holds."""
    origin = get_origin(hint)
    if not inspect.isclass(origin) or not issubclass(origin, Sequence | Mapping):
        return Any
    arguments = [argument for argument in get_args(hint) if argument is not Ellipsis]
    return arguments[-1 if issubclass(origin, Mapping) else 0]


def _is_part(hint: Any) -> bool:
    """Whether a parameter wants one of the package's own classes."""
    return inspect.isclass(hint) and hint.__module__.startswith(PACKAGE)


def _serves(target: Any, hint: Any) -> bool:
    """Whether an instance of ``target`` can stand where ``hint`` is asked for."""
    if get_origin(hint) is Callable:
        return "__call__" in vars(target)
    if not inspect.isclass(hint):
        return True
    if getattr(hint, "_is_protocol", False):
        members = [member for member in vars(hint) if not member.startswith("_")]
        return all(hasattr(target, m) or m in _fields(target) for m in members)
    return issubclass(target, hint)


def _fields(target: Any) -> Mapping[str, Any]:
    fields: Mapping[str, Any] = getattr(target, "__dataclass_fields__", {})
    return fields


def _plain_name(hint: Any) -> str:
    return f"a {hint.__name__}" if inspect.isclass(hint) else str(hint)


def _plain(message: str) -> str:
    """Hydra's message without its search path, which helps nobody who mistyped an option."""
    return "\n".join(
        line for line in message.partition("Config search path:")[0].splitlines() if line.strip()
    )
