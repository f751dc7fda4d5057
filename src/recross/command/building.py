"""From checked values to objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from recross.command.checking import drop_copies, find_every_problem
from recross.command.composition import compose_values, read_config
from recross.command.plugins import find_plugins
from recross.command.saved import find_target
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
from recross.parts.bounds import make_adapter
from recross.parts.hints import Hint

if TYPE_CHECKING:
    from recross.experiment.experiment import Experiment


def build(values: Node) -> Any:
    """Build what a config describes; check every argument of every part before building any.

    Raises:
        ConfigError: naming each unknown target, unknown key, missing key and ill-typed value.
    """
    packages: tuple[str, ...] = (PACKAGE,)
    problems = find_every_problem(values)
    with suppress(ConfigError):  # which is among the problems
        packages = (PACKAGE, *find_plugins(values.get(PLUGINS, ())))
    builder = _Builder(packages, problems)
    built = builder.construct("", drop_referred(values, packages))
    if builder.problems:
        raise ConfigError(drop_copies(builder.problems))
    return built


def load_experiment(*overrides: str) -> Experiment:
    """Build the experiment that ``recross run`` would run with these overrides.

    ``load_experiment("retriever=bm25", "reranker=none").run()`` returns its record.

    Raises:
        ConfigError: as ``build``; or an option or a key is unknown, or a value is not given.
    """
    experiment: Experiment = build(compose_values("run", overrides))
    return experiment


def read_experiment(folder: Path) -> Experiment:
    """Build the experiment of a folder, whose config ``run`` or ``train`` has saved there.

    Raises:
        InputError: it holds no config, or one of something else.
    """
    values = read_config(folder / "config.yaml")
    experiment: Experiment = build({**values, TARGET: cast(str, find_target("run"))})
    return experiment


@dataclass
class _Builder:
    """Builds parts from the innermost on, and goes on where one cannot be built.

    A part is not tried while there are ``problems`` within it, and ``None`` then.
    """

    packages: Sequence[str]
    problems: list[str]

    def construct(self, path: str, node: Node) -> Any:
        target = find_class(node[TARGET], self.packages)
        hints = read_hints(target) if target is not None else {}
        arguments = {
            key: self._construct_value(f"{path}.{key}" if path else key, value, hints.get(key, Any))
            for key, value in node.items()
            if key != TARGET
        }
        if target is None or self._is_wrong_within(path):
            return None
        try:
            return target(**arguments)
        except ConfigError as error:
            self.problems += error.problems
        except InputError as error:
            self.problems.append(f"{path}: {error}" if path else str(error))
        return None

    def _construct_value(self, path: str, value: object, hint: Hint) -> object:
        if is_node(value):
            return self.construct(path, value)
        if (items := list_items(value, hint)) is not None:
            inner = read_element(hint)
            parts = [
                self._construct_value(f"{path}{step}", item, inner) for step, item in items.items()
            ]
            return dict(zip(value, parts, strict=True)) if isinstance(value, Mapping) else (*parts,)
        return None if self._is_wrong_within(path) else make_adapter(hint).validate_python(value)

    def _is_wrong_within(self, path: str) -> bool:
        """Whether there are problems of what stands at a place or below it."""
        below = tuple(f"{path}{sign}" for sign in (":", ".", "["))
        return bool(self.problems) if not path else any(p.startswith(below) for p in self.problems)
