"""What ``${...}`` of a config may call: names and labels, changes, the environment, resources."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf

from recross.command.naming import (
    label_combination,
    list_choice_words,
    name_choice,
    name_combination,
)
from recross.command.resources import count_cores, count_gpus, count_processes
from recross.errors import InputError
from recross.parts.secrets import is_secret_name


def change_values(values: DictConfig, changes: DictConfig) -> DictConfig:
    """A node with some values changed: ``${recross.change:${training},{steps:2}}``."""
    return cast(DictConfig, OmegaConf.merge(values, changes))


def read_variable(name: str, *default: str | None) -> str | None:
    """A variable of the environment, ``${oc.env:DATA,data}``, that names no secret.

    What a config refers to is written into records.

    Raises:
        InputError: it is called as keys and passwords are, or is not set and has no default.
    """
    if is_secret_name(name):
        raise InputError(
            f"oc.env must not read a secret, which records would keep, got {name};"
            " options such as api_key_variable take its name"
        )
    if name not in os.environ and not default:
        raise InputError(f"oc.env must name a variable of the environment, got {name}")
    return os.environ.get(name, *default)


def register_resolvers() -> None:
    """Make them known to every config of this process."""
    resolvers: dict[str, Callable[..., Any]] = {
        "oc.env": read_variable,
        "recross.name": name_combination,
        "recross.choice": name_choice,
        "recross.choice_words": list_choice_words,
        "recross.change": change_values,
        "recross.label": label_combination,
        "recross.cores": count_cores,
        "recross.gpus": count_gpus,
        "recross.processes": count_processes,
    }
    for name, resolver in resolvers.items():
        OmegaConf.register_new_resolver(name, resolver, replace=True)
