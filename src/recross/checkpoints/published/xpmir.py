"""xpmir's cross-encoders: nine encoders, each trained on MS MARCO with six losses.

From "Reproducing and Comparing Distillation Techniques for Cross-Encoders" (arXiv 2603.03010).
Their cards load the tokenizer of the encoder that was trained, which some hold alone.
"""

from __future__ import annotations

from recross.checkpoints.contracts import ClassifierContract
from recross.checkpoints.published.record import PublishedCheckpoint

_ENCODERS = {
    "MiniLM-L12": "microsoft/MiniLM-L12-H384-uncased",
    "bert-base": "bert-base-uncased",
}
"""Encoders by their name in an id, with the checkpoint whose tokenizer their cards name."""
_LOSSES = ("BCE", "Hinge", "infoNCE", "MarginMSE", "DistillRankNET", "ADR-MSE")


def _publish(encoder: str, tokenizer: str, loss: str) -> PublishedCheckpoint:
    name = f"cross-encoder-{encoder}-{loss}"
    contract = ClassifierContract(f"xpmir-{name}", source=f"https://huggingface.co/xpmir/{name}")
    return PublishedCheckpoint(
        (f"xpmir/{name}",), contract, revision=None, licence="Apache-2.0", tokenizer=tokenizer
    )


CHECKPOINTS = tuple(
    _publish(encoder, tokenizer, loss)
    for encoder, tokenizer in _ENCODERS.items()
    for loss in _LOSSES
)
