"""ctxl-rerank-v2: causal models that read the document first; their score is one logit in bf16."""

from __future__ import annotations

from recross.checkpoints.contracts import PromptContract
from recross.checkpoints.published.record import PublishedCheckpoint

_BEFORE = (
    "Check whether a given document contains information helpful to answer the query.\n"
    "<Document> {document}\n<Query> {query}"
)
_CONTRACT = PromptContract(
    "ctxl-rerank-v2",
    f"{_BEFORE} ??",
    "logit",
    (0,),  # what stands for relevance has this number whatever piece it is
    framed=True,
    max_length=8192,
    max_query_length=4096,
    instructed=f"{_BEFORE} {{instruction}} ??",
    rounded=True,
    source="https://huggingface.co/ContextualAI/ctxl-rerank-v2-instruct-multilingual-1b; limits:"
    " rcp-ndcg, experiments/paper/rerankers",
)
_REVISIONS = {  # as in rcp-ndcg; the others' are not known here
    "1b": "8fd1edf6a98564cb712064f884b8ef7df5c1b876",
    "2b": None,
    "6b": None,
}

CHECKPOINTS = tuple(
    PublishedCheckpoint(
        (f"ContextualAI/ctxl-rerank-v2-instruct-multilingual-{size}",),
        _CONTRACT,
        revision=revision,
        licence="CC-BY-NC-SA-4.0",
    )
    for size, revision in _REVISIONS.items()
)
