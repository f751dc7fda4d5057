"""The ettin re-rankers (Aarsen 2026): ModernBERT under a head of modules, distilled from mxbai.

Revisions and licence: as in mteb, ettin_rerankers.py. Their published numbers are means over
collections, which ``experiments/reference.csv`` holds.
"""

from __future__ import annotations

from recross.checkpoints.contracts import ClassifierContract
from recross.checkpoints.published.record import PublishedCheckpoint

_REVISIONS = {
    "17m": "9e4aa35321a6dd1a43ca313f500c4b4f7cfb5cc6",
    "32m": "b33e5ceb5110773ea9cf5e00c9bedc83a8c2afdd",
    "68m": "d166fa88ddde3c42bc3ee92f7df476d941c8204a",
    "150m": "025501c4e0f9bbeb4c5b198318e0089ff061cc14",
    "400m": "5dca36282a5d85f368d2544002513a29159b4c9e",
    "1b": "7d20e9baad17016fdf5549c08f69a2d7ca3e60c3",
}


def _publish(size: str, revision: str) -> PublishedCheckpoint:
    name = f"ettin-reranker-{size}-v1"
    contract = ClassifierContract(
        name, max_length=7_999, source=f"https://huggingface.co/cross-encoder/{name}"
    )
    return PublishedCheckpoint(
        (f"cross-encoder/{name}",), contract, revision=revision, licence="Apache-2.0"
    )


CHECKPOINTS = tuple(_publish(size, revision) for size, revision in _REVISIONS.items())
