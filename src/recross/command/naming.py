"""What a combination is called: its folder and its row of a table, from what was chosen."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from recross.command.catalogue import find_config_folder
from recross.parts.identity import fingerprint
from recross.records import Json

UNNAMED = frozenset(
    (
        *("retriever", "reranker", "row", "experiment", "study", "name", "label", "curve"),
        *("seed", "output", "store", "reuse", "tracking", "latency_queries", "cache", "plugins"),
    )
)
"""Keys that do not tell combinations apart, or that stand in the name by their value alone."""
UNNAMED_BELOW = ("tracking.", "cache.", "hydra.", "hydra/")
LONGEST_NAME = 120
"""Bytes of a name that is made here, before what tells a shortened one apart."""
NOT_IN_NAMES = re.compile(r"[^\w.,=+@%:-]")
"""What a shell would want quotes for."""
GRAMMAR = re.compile(r"""['"\[\]{}]""")
"""Signs of Hydra's grammar, without which a value is the same one."""
IN_TABLES = {"biencoder": "bi-encoder", "bm25": "BM25"}
"""What tables call a first stage; any other is called as its option."""
OWN_TARGET = "_target_=recross."
"""Which command of ours a combination is given to, which does not make it another one."""
EMPTY: Mapping[str, object] = MappingProxyType({})
MODULE_OF_CLASS = re.compile(r"(_target_:)\s*[\w.]*\.")


def name_combination(*, _root_: DictConfig) -> str:
    """Name what Hydra composed last: first stage, re-ranker, and every other override."""
    hydra = HydraConfig.get()
    choices = hydra.runtime.choices
    words = [choices.get("retriever", ""), choices.get("reranker", "")]
    for override in sorted(hydra.overrides.task):
        words.extend(_name_override(override, _root_))
    return shorten_name(".".join(word for word in words if word))


def name_choice() -> str:
    """Name what is measured for a choice: re-ranker, hardware, and what else is said of them."""
    choices = HydraConfig.get().runtime.choices
    words = [str(choices.get("reranker", "")), str(choices.get("hardware", ""))]
    for override in sorted(_list_of_choice(within=("reranker.", "reranker@", "hardware."))):
        words.extend(_name_override(_shorten_checkpoint(override)))
    return shorten_name(NOT_IN_NAMES.sub("", ".".join(words)))


def list_choice_words() -> list[str]:
    """The overrides of ``recross rerank`` that use what is measured, on the same collection."""
    choices = HydraConfig.get().runtime.choices
    inner = ("reranker.", "reranker@", "hardware.", "generator", "dialect", "strategy")
    told = _list_of_choice(within=(*inner, "collection", "plugins"))
    chosen = [f"reranker={choices['reranker']}", f"hardware={choices['hardware']}"]
    return [*chosen, *map(_drop_quotes, told)]


def _drop_quotes(override: str) -> str:
    """The override as it was typed: every command quotes again what must be."""
    key, _, value = override.partition("=")
    inner = value[1:-1]
    is_quoted = value == f'"{inner}"' and not {'"', "\\"} & set(inner)
    return f"{key}={inner}" if is_quoted else override


def _shorten_checkpoint(override: str) -> str:
    """A path to what an experiment trained, by the experiment: its folder is called checkpoint."""
    key, sign, value = override.partition("=")
    place = Path(value.strip("'\""))
    if place.name != "checkpoint":
        return override
    seed, experiment = place.parent.name, place.parent.parent.name
    return f"{key}{sign}{experiment}.{seed}"


def _list_of_choice(within: tuple[str, ...]) -> list[str]:
    overrides = HydraConfig.get().overrides.task
    return [word for word in overrides if word.lstrip("+~").startswith(within)]


def shorten_name(name: str) -> str:
    """The name, cut where it is too long, because file systems limit the names of folders."""
    if len(name.encode()) > LONGEST_NAME:
        start = name.encode()[:LONGEST_NAME].decode(errors="ignore")
        name = f"{start}-{fingerprint(name)[:8]}"
    return name


def label_combination() -> str:
    """Label what Hydra composed last: ``bi-encoder + minilm_l6``, or the first stage alone."""
    choices = HydraConfig.get().runtime.choices
    retriever, reranker = str(choices.get("retriever")), str(choices.get("reranker"))
    first = IN_TABLES.get(retriever, retriever)
    return first if reranker == "none" else f"{first} + {reranker}"


def rename_changed(values: dict[str, Json]) -> dict[str, Json]:
    """Values of a saved config; where overrides change it, name and label say so, as if composed.

    What an experiment has written stays, and no table takes the changed one for another seed.
    """
    config = HydraConfig.get() if HydraConfig.initialized() else None
    sources = config.runtime.config_sources if config is not None else ()
    main = [Path(source.path) for source in sources if source.provider == "main"]
    if config is None or main == [find_config_folder()]:
        return values
    said = config.overrides.task
    overrides = sorted(override for override in said if not override.startswith(OWN_TARGET))
    words = [word for override in overrides for word in _name_override(override, values)]
    given = {override.partition("=")[0] for override in overrides}
    changed = {
        key: shorten_name(".".join([str(values[key]), *words]))
        for key in ("name", "label")
        if words and values.get(key) and key not in given
    }
    return values | changed


def _name_override(override: str, root: Mapping[str, object] = EMPTY) -> Iterator[str]:
    """``training.steps=8`` is ``steps=8``; a part inside another one is named by its place.

    Two overrides of one config never have one name: what was left out of a value that others may
    share, as the folders of a path, is told by a fingerprint.
    """
    key, _, value = override.lstrip("+~").partition("=")
    group, _, package = key.partition("@")
    if package or (group not in UNNAMED and not group.startswith(UNNAMED_BELOW)):
        node = package.removesuffix(f".{group}") or group
        yield f"{_shorten_key(node, root)}={_shorten_value(value)}"


def _shorten_key(key: str, root: Mapping[str, object]) -> str:
    """The last part of a key, where no other key of the config ends in it."""
    group, _, last = key.rpartition(".")
    others = [root, *(held for name, held in _list_nodes(root) if name != group)]
    is_told_apart = group.count(".") == 0 and not any(last in node for node in others)
    return last if group and is_told_apart else key


def _list_nodes(root: Mapping[str, object]) -> Iterator[tuple[str, Mapping[str, object]]]:
    items = root.items_ex(resolve=False) if isinstance(root, DictConfig) else root.items()
    for name, held in items:
        if isinstance(held, Mapping) and not (isinstance(held, DictConfig) and held._is_none()):
            yield str(name), held


def _shorten_value(value: str) -> str:
    """The last part of a path or the name of a class, and a fingerprint where more was said."""
    said = GRAMMAR.sub("", value)
    shown = NOT_IN_NAMES.sub("", MODULE_OF_CLASS.sub(r"\1", said.rstrip("/").rpartition("/")[2]))
    return shown if shown == said else f"{shown}-{fingerprint(said)[:8]}"
