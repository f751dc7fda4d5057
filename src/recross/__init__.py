"""A research framework for cross-encoder re-ranking."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from recross.collections.collection import Collection
from recross.evaluation.measures import evaluate
from recross.runs import Run

if TYPE_CHECKING:
    from recross.command.building import load_experiment
    from recross.command.loading import load_reranker

__all__ = ["Collection", "Run", "evaluate", "load_experiment", "load_reranker"]


def __getattr__(name: str) -> Any:
    if name == "load_reranker":  # brings transformers: seconds, paid by those who use it
        from recross.command.loading import load_reranker

        return load_reranker
    if name == "load_experiment":
        from recross.command.building import load_experiment

        return load_experiment
    raise AttributeError(f"module 'recross' has no attribute {name!r}")
