"""NBoost's BERTs of two classes, trained on MS MARCO."""

from __future__ import annotations

from recross.checkpoints.contracts import ClassifierContract
from recross.checkpoints.published.record import PublishedCheckpoint
from recross.checkpoints.published.sentence_transformers import measured


def _bert(checkpoint: str, name: str, mrr_10: float, ndcg_10: float) -> PublishedCheckpoint:
    contract = ClassifierContract(name, "log_softmax", source="https://huggingface.co/nboost")
    return PublishedCheckpoint(
        (checkpoint,), contract, revision=None, licence=None, numbers=measured(mrr_10, ndcg_10)
    )


CHECKPOINTS = (
    _bert("nboost/pt-bert-base-uncased-msmarco", "nboost-bert-base", 0.3475, 0.7094),
    _bert("nboost/pt-bert-large-msmarco", "nboost-bert-large", 0.3648, 0.7336),
)
