"""Qwen3-Reranker (Zhang et al. 2025): causal models that answer yes or no."""

from __future__ import annotations

from dataclasses import replace

from recross.checkpoints.contracts import PromptContract
from recross.checkpoints.published.record import (
    NANO_MSMARCO,
    RCP_NDCG,
    RCP_POOLS,
    PublishedCheckpoint,
    PublishedNumber,
)

_CONTRACT = PromptContract(
    "qwen3-reranker",
    "<|im_start|>system\nJudge whether the Document meets the requirements based on the"
    ' Query and the Instruct provided. Note that the answer can only be "yes" or "no".<|im_end|>\n'
    "<|im_start|>user\n<Instruct>: {instruction}\n<Query>: {query}\n<Document>: {document}"
    "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n",
    "log_softmax",
    ("no", "yes"),
    add_eos=False,
    max_length=8192,
    instruction="Given a web search query, retrieve relevant passages that answer the query",
    source="https://huggingface.co/Qwen/Qwen3-Reranker-0.6B",
)
_CLASSIFIER = replace(
    _CONTRACT,
    name="qwen3-reranker-seq-cls",
    read_out="head",  # whose row is that of yes less that of no
    pieces=(),
    source="https://huggingface.co/tomaarsen/Qwen3-Reranker-0.6B-seq-cls",
)
_REVISIONS = {  # as in rcp-ndcg, experiments/paper/rerankers
    "0.6B": "e61197ed45024b0ed8a2d74b80b4d909f1255473",
    "4B": "22e683669bc0f0bd69640a1354a6d0aebcfeede5",
    "8B": "77d193c791ed757ca307ee72715aa132723da912",
}
_NUMBERS = {
    "0.6B": (PublishedNumber("nDCG@10", 0.679, NANO_MSMARCO, RCP_POOLS, RCP_NDCG),),
}

CHECKPOINTS = (
    *(
        PublishedCheckpoint(
            (f"Qwen/Qwen3-Reranker-{size}",),
            _CONTRACT,
            revision=revision,
            licence="Apache-2.0",
            numbers=_NUMBERS.get(size, ()),
        )
        for size, revision in _REVISIONS.items()
    ),
    *(
        PublishedCheckpoint(
            (f"tomaarsen/Qwen3-Reranker-{size}-seq-cls",), _CLASSIFIER, revision=None, licence=None
        )
        for size in _REVISIONS
    ),
)
