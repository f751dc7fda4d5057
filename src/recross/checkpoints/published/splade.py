"""SPLADE of Naver Labs (Formal et al. 2022, Lassance et al. 2024): the highest weight of each term.

No commit is known here.
"""

from __future__ import annotations

from recross.checkpoints.first_stage_contracts import SparseContract
from recross.checkpoints.published.record import (
    WHOLE,
    PublishedCheckpoint,
    PublishedNumber,
    mrr,
)

_DOCUMENTED = "sentence-transformers, docs/sparse_encoder/pretrained_models.md"
_LICENCE = "CC BY-NC-SA 4.0"


def _describe(name: str, numbers: tuple[PublishedNumber, ...] = ()) -> PublishedCheckpoint:
    contract = SparseContract(name, source=f"https://huggingface.co/naver/{name}")
    return PublishedCheckpoint(
        (f"naver/{name}",), contract, revision=None, licence=_LICENCE, numbers=numbers
    )


CHECKPOINTS = (
    _describe("splade-v3", mrr(0.402, WHOLE, _DOCUMENTED)),
    _describe("splade-v3-distilbert", mrr(0.387, WHOLE, "model card")),
    _describe("splade-cocondenser-ensembledistil", mrr(0.380, WHOLE, _DOCUMENTED)),
    _describe("splade-cocondenser-selfdistil"),
)
