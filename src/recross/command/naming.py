"""What a combination is called: its folder and its row of a table, from what was chosen."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from hydra.core.hydra_config import HydraConfig

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
NOT_IN_NAMES = re.compile(r"[\s/\x00-\x1f\x7f-\x9f\ud800-\udfff]")
IN_TABLES = {"biencoder": "bi-encoder", "bm25": "BM25"}
"""What tables call a first stage; any other is called as its option."""
MODULE_OF_CLASS = re.compile(r"(_target_:)\s*[\w.]*\.")


def name_combination() -> str:
    """Name what Hydra composed last: first stage, re-ranker, and every other override."""
    hydra = HydraConfig.get()
    choices = hydra.runtime.choices
    words = [choices.get("retriever", ""), choices.get("reranker", "")]
    for override in sorted(hydra.overrides.task):
        words.extend(_name_override(override))
    return shorten_name(NOT_IN_NAMES.sub("", ".".join(word for word in words if word)))


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
    overrides = sorted(config.overrides.task)
    words = [word for override in overrides for word in _name_override(override)]
    given = {override.partition("=")[0] for override in overrides}
    changed = {
        key: shorten_name(".".join([str(values[key]), *words]))
        for key in ("name", "label")
        if words and values.get(key) and key not in given
    }
    return values | changed


def _name_override(override: str) -> Iterator[str]:
    """``training.steps=8`` is ``steps=8``; a part inside another one is named by its place."""
    key, _, value = override.lstrip("+~").partition("=")
    group, _, package = key.partition("@")
    if package or (group not in UNNAMED and not group.startswith(UNNAMED_BELOW)):
        node = package.removesuffix(f".{group}") or group
        value = MODULE_OF_CLASS.sub(r"\1", value.rpartition("/")[2])
        yield f"{node.rpartition('.')[2]}={value}"
