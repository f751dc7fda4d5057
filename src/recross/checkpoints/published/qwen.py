"""Qwen3-Reranker (Zhang et al. 2025): causal models that answer yes or no."""

from __future__ import annotations

from recross.checkpoints.contracts import PromptContract
from recross.checkpoints.published.record import PublishedCheckpoint

_CONTRACT = PromptContract(
    "qwen3-reranker",
    "<Instruct>: Given a web search query, retrieve relevant passages that answer the query\n"
    "<Query>: {query}\n<Document>: {document}",
    "log_softmax",
    ("no", "yes"),
    add_eos=False,
    max_length=8192,
    prefix="<|im_start|>system\nJudge whether the Document meets the requirements based on the"
    ' Query and the Instruct provided. Note that the answer can only be "yes" or "no".<|im_end|>\n'
    "<|im_start|>user\n",
    suffix="<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n",
    source="https://huggingface.co/Qwen/Qwen3-Reranker-0.6B",
)
_REVISIONS = {  # as in rcp-ndcg, experiments/paper/rerankers
    "0.6B": "e61197ed45024b0ed8a2d74b80b4d909f1255473",
    "4B": "22e683669bc0f0bd69640a1354a6d0aebcfeede5",
    "8B": "77d193c791ed757ca307ee72715aa132723da912",
}

CHECKPOINTS = tuple(
    PublishedCheckpoint(
        (f"Qwen/Qwen3-Reranker-{size}",), _CONTRACT, revision=revision, licence="Apache-2.0"
    )
    for size, revision in _REVISIONS.items()
)
