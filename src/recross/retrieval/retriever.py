"""What a first stage is, and the runs it has already made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from recross.collections.collection import Collection
from recross.runs import Run
from recross.store import Store


@runtime_checkable
class Retriever(Protocol):
    """A first stage."""

    def retrieve(self, collection: Collection, query_ids: Sequence[str], depth: int) -> Run:
        """Return the best ``depth`` documents of each query, in the order of ``query_ids``."""


def retrieve_once(
    retriever: Retriever, collection: Collection, query_ids: Sequence[str], depth: int, store: Store
) -> Run:
    """Retrieve, or read the run that the same retriever made for the same queries before."""
    identity = {
        "retriever": retriever,
        "collection": collection.texts_fingerprint,
        "query_ids": list(query_ids),
        "depth": depth,
    }

    def make(folder: Path) -> Mapping[str, Any]:
        run = retriever.retrieve(collection, query_ids, depth)
        run.write(folder / "run.trec")
        return {"name": run.name, "lines": sum(map(len, run.rankings.values()))}

    folder = store.artefact("runs", identity, make)
    path = folder / "run.trec"
    run = Run.read(path) if path.stat().st_size else Run("empty", {})
    return run.restrict(query_ids)
