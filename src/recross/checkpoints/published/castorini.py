"""Castorini's encoders and RankLLaMA (its T5s are in ``monot5``)."""

from __future__ import annotations

from recross.checkpoints.contracts import ClassifierContract, PromptContract
from recross.checkpoints.published.record import (
    ANSERINI,
    DL19,
    PublishedCheckpoint,
    PublishedNumber,
    mrr,
)

CHECKPOINTS = (
    PublishedCheckpoint(
        ("castorini/monobert-large-msmarco",),
        ClassifierContract(
            "monobert",
            "log_softmax",
            max_query_length=64,
            source="https://github.com/nyu-dl/dl4marco-bert",
        ),
        revision=None,
        licence=None,
        numbers=mrr(0.3792, ANSERINI, "pygaggle, docs/experiments-msmarco-passage-entire.md"),
    ),
    PublishedCheckpoint(
        ("castorini/monoelectra-base",),
        ClassifierContract(
            "monoelectra",
            "second_logit",  # two classes of which only this logit is read, in rank_llm
            source="https://github.com/castorini/rank_llm, MonoELECTRA",
        ),
        revision=None,
        licence=None,
    ),
    PublishedCheckpoint(
        ("castorini/rankllama-v1-7b-lora-passage",),
        PromptContract(
            "rankllama",
            "query: {query}<s>document: {document}",
            "head",
            add_eos=False,
            prefix="<s>",
            source="https://huggingface.co/castorini/rankllama-v1-7b-lora-passage",
        ),
        revision=None,
        licence=None,
        numbers=(PublishedNumber("nDCG@10", 0.7655, DL19, "RepLLaMA's top 200", "tevatron, docs"),),
    ),
)
