"""BAAI's BGE as bi-encoders (Xiao et al. 2023): a prompt before English queries, none for M3.

Revisions and licences as in mteb, bge_models.py.
"""

from __future__ import annotations

from dataclasses import replace

from recross.checkpoints.published.record import (
    WHOLE,
    PublishedCheckpoint,
    describe_embedder,
    mrr,
)

_PROMPT = "Represent this sentence for searching relevant passages: "
_REVISIONS = {
    "small": "5c38ec7c405ec4b44b94cc5a9bb96e735b38267a",
    "base": "a5beb1e3e68b9ab74eb54cfd186867f64f240e1a",
    "large": "d4aa6901d3a41ba39fb536a557fa166f842b0e09",
}
_NUMBERS = {"base": mrr(0.352, WHOLE, "anserini, pull request 3388")}


def _describe_english(size: str, revision: str) -> PublishedCheckpoint:
    described = describe_embedder(
        *(f"BAAI/bge-{size}-en-v1.5", revision, "MIT"), pooling="cls", prompts=(_PROMPT, "")
    )
    return replace(described, numbers=_NUMBERS.get(size, ()))


CHECKPOINTS = (
    *(_describe_english(size, revision) for size, revision in _REVISIONS.items()),
    describe_embedder(
        *("BAAI/bge-m3", "5617a9f61b028005a4858fdac845db406aefb181", "MIT"),
        pooling="cls",
        max_length=8192,
    ),
)
