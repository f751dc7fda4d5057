"""ColBERT, in its own layout."""

from __future__ import annotations

from recross.checkpoints.late_contract import LateInteractionContract
from recross.checkpoints.published.record import PublishedCheckpoint, ndcg

CHECKPOINTS = (
    PublishedCheckpoint(
        ("colbert-ir/colbertv2.0",),
        LateInteractionContract(
            "colbertv2", source="https://huggingface.co/colbert-ir/colbertv2.0"
        ),
        revision="c1e84128e85ef755c096a95bdb06b47793b13acf",  # as in mteb, colbert_models.py
        licence="MIT",
        numbers=ndcg(0.732, 0.746),
    ),
)
