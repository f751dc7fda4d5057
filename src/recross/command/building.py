"""From checked values to objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from recross.command.checking import find_config_problems
from recross.command.composition import compose_values
from recross.command.plugins import find_plugins
from recross.command.signatures import (
    PACKAGE,
    PLUGINS,
    TARGET,
    Node,
    drop_referred,
    find_class,
    is_node,
    list_items,
    read_element,
    read_hints,
)
from recross.errors import ConfigError, InputError
from recross.parts import bounds
from recross.parts.hints import Hint

if TYPE_CHECKING:
    from recross.experiment.experiment import Experiment


def build(values: Node) -> Any:
    """Build what a config describes; check every argument of every part before building any.

    Raises:
        ConfigError: naming each unknown target, unknown key, missing key and ill-typed value.
    """
    if problems := list(find_config_problems(values)):
        raise ConfigError(problems)
    packages = (PACKAGE, *find_plugins(values.get(PLUGINS, ())))
    return _construct("", drop_referred(values), packages)


def load_experiment(*overrides: str) -> Experiment:
    """Build the experiment that ``recross run`` would run with these overrides.

    ``load_experiment("retriever=bm25", "reranker=none").run()`` returns its record.

    Raises:
        ConfigError: as ``build``; or an option or a key is unknown, or a value is not given.
    """
    experiment: Experiment = build(compose_values("run", overrides))
    return experiment


def _construct(path: str, node: Node, packages: Sequence[str]) -> object:
    target = find_class(node[TARGET], packages)
    assert target is not None  # checked
    hints = read_hints(target)
    arguments = {
        key: _construct_value(f"{path}.{key}" if path else key, value, hints[key], packages)
        for key, value in node.items()
        if key != TARGET
    }
    try:
        return target(**arguments)
    except ConfigError:
        raise
    except InputError as error:
        raise ConfigError([f"{path}: {error}" if path else str(error)]) from None


def _construct_value(path: str, value: object, hint: Hint, packages: Sequence[str]) -> object:
    if is_node(value):
        return _construct(path, value, packages)
    if (items := list_items(value, hint)) is not None:
        inner = read_element(hint)
        parts = [
            _construct_value(f"{path}{step}", item, inner, packages) for step, item in items.items()
        ]
        return dict(zip(value, parts, strict=True)) if isinstance(value, Mapping) else tuple(parts)
    return bounds.make_adapter(hint).validate_python(value)
