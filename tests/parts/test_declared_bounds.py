"""No number of a part that a config can name is without bounds, and no such part is unchecked."""

import dataclasses
import importlib
import pkgutil
import re
from functools import cache
from pathlib import Path
from typing import get_args, get_type_hints

import recross
from recross.parts.hints import is_plain, list_kinds, say_bounds
from recross.parts.identity import is_handed_over

CONF = Path(__file__).parents[2] / "conf"
ANY_FINITE = {
    "Denoising.threshold",  # a teacher's scores are of any sign
    "FineTuning.first_stage_weight",  # 0 is none, and a negative one is a study of its own
    "RangeSearch.first_stage_weight",
    "PromptContract.pieces",  # pieces of a vocabulary, by text or by number
    "LocalGenerator.chat_options",  # whatever a chat template reads
}

WITH_RAY = ("ray_tasks", "ray_actors", "ray_cluster", "parquet_blocks")
"""Modules that only those import who have the extra ``ray``."""


@cache
def named_parts():
    """Every dataclass that a file of ``conf/`` names."""
    texts = [path.read_text() for path in CONF.rglob("*.yaml")]
    named = {name for text in texts for name in re.findall(r"_target_: *([\w.]+)", text)}
    for module in pkgutil.walk_packages(recross.__path__, "recross."):
        if not module.name.endswith(("__main__", *WITH_RAY)):
            importlib.import_module(module.name)
    parts = []
    for name in sorted(name for name in named if name.startswith("recross.")):
        module, _, own_name = name.rpartition(".")
        parts.append(getattr(importlib.import_module(module), own_name))
    return parts


def plain_fields(part):
    hints = get_type_hints(part, include_extras=True)
    for field in dataclasses.fields(part):
        if field.init and not is_handed_over(field) and is_plain(hints[field.name]):
            yield field.name, hints[field.name]


def has_bounds(hint):
    """Whether a number, or each number of several, has bounds."""
    return bool(say_bounds(hint)) or any(has_bounds(inner) for inner in get_args(hint))


def test_every_number_has_bounds():
    unbounded = {
        f"{part.__name__}.{name}"
        for part in named_parts()
        for name, hint in plain_fields(part)
        if {int, float} & set(list_kinds(hint)) and not has_bounds(hint)
    }
    assert unbounded == ANY_FINITE


def test_every_part_with_plain_arguments_checks_them_from_python_too():
    unchecked = [
        part.__name__
        for part in named_parts()
        if any(True for _ in plain_fields(part))
        and "checked" not in getattr(getattr(part, "__post_init__", None), "__qualname__", "")
    ]
    assert unchecked == []


def test_every_seed_is_one_that_numpy_and_torch_take():
    seeds = {
        f"{part.__name__}.{name}": say_bounds(hint)
        for part in named_parts()
        for name, hint in plain_fields(part)
        if name.endswith("seed")
    }
    assert len(seeds) > 5
    assert set(seeds.values()) == {"lie in [0, 4294967295]"}
