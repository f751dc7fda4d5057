"""sentence-transformers' bi-encoders on MS MARCO, by cosine or by products of whole vectors.

Their folders do not say which: the name does, and the documentation (msmarco-v5.md). No commit is
known here.
"""

from __future__ import annotations

from dataclasses import replace

from recross.checkpoints.published.record import (
    DL19,
    DL20,
    WHOLE,
    PublishedCheckpoint,
    PublishedNumber,
    describe_embedder,
    mrr,
)

_MEASURED = "sentence-transformers, docs/pretrained-models/msmarco-v5.md"


def _measured(mrr_10: float, dl19: float, dl20: float) -> tuple[PublishedNumber, ...]:
    """MRR@10 on dev and nDCG@10 on TREC DL of the whole collection, as its authors list them."""
    return (
        *mrr(mrr_10, WHOLE, _MEASURED),
        PublishedNumber("nDCG@10", dl19, DL19, WHOLE, _MEASURED),
        PublishedNumber("nDCG@10", dl20, DL20, WHOLE, _MEASURED),
    )


def _describe(
    name: str, found: tuple[float, float, float], pooling: str = "mean"
) -> PublishedCheckpoint:
    described = describe_embedder(
        f"sentence-transformers/{name}",
        pooling=pooling,
        similarity="cosine" if "-cos-" in name else "dot",
    )
    return replace(described, numbers=_measured(*found))


CHECKPOINTS = (
    _describe("msmarco-distilbert-base-tas-b", (0.3443, 0.7104, 0.6978), "cls"),
    _describe("msmarco-bert-base-dot-v5", (0.3808, 0.7051, 0.7345)),
    _describe("msmarco-distilbert-dot-v5", (0.3725, 0.7014, 0.7108)),
    _describe("msmarco-distilbert-cos-v5", (0.3379, 0.7024, 0.6624)),
    _describe("msmarco-MiniLM-L6-cos-v5", (0.3227, 0.6746, 0.6473)),
    _describe("msmarco-MiniLM-L12-cos-v5", (0.3275, 0.6514, 0.6748)),
)
