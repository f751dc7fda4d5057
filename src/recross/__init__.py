"""A research framework for cross-encoder re-ranking."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recross.collections.collection import Collection
    from recross.command.building import load_experiment
    from recross.command.loading import load_reranker
    from recross.evaluation.measures import evaluate
    from recross.runs import Run

__all__ = ["Collection", "Run", "evaluate", "load_experiment", "load_reranker"]

_HOMES = {
    "Collection": "recross.collections.collection",
    "Run": "recross.runs",
    "evaluate": "recross.evaluation.measures",
    "load_experiment": "recross.command.building",
    "load_reranker": "recross.command.loading",  # brings transformers: seconds
}
"""Where each name lies: its module is imported by those who use it."""


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'recross' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
