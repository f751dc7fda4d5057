"""Classifiers on ModernBERT-base by Alibaba and IBM."""

from __future__ import annotations

from recross.checkpoints.contracts import ClassifierContract
from recross.checkpoints.published.record import GoldenScore, PublishedCheckpoint

_GTE = "Alibaba-NLP/gte-reranker-modernbert-base"
_GRANITE = "ibm-granite/granite-embedding-reranker-english-r2"
_SORTING = "how to implement quick sort in python?"
_CARD = "model card, in fp16"

CHECKPOINTS = (
    PublishedCheckpoint(
        (_GTE,),
        ClassifierContract(
            "gte-reranker-modernbert-base",
            max_length=8_192,
            source=f"https://huggingface.co/{_GTE}",
        ),
        revision="f7481e6055501a30fb19d090657df9ec1f79ab2c",
        licence="Apache-2.0",
        golden=(
            GoldenScore("what is the capital of China?", "Beijing", 2.1387, 0.02, _CARD),
            GoldenScore(_SORTING, "Introduction of quick sort", 2.4609, 0.02, _CARD),
            GoldenScore(_SORTING, "The weather is nice today", -1.6729, 0.02, _CARD),
        ),
    ),
    PublishedCheckpoint(
        (_GRANITE,),
        ClassifierContract(
            "granite-embedding-reranker-english-r2",
            max_length=8_192,
            source=f"https://huggingface.co/{_GRANITE}",
        ),
        revision="d09d3d6971b689bf9c23839e45a470874d46e13a",
        licence="Apache-2.0",
    ),
)
