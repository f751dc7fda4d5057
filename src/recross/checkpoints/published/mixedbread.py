"""mxbai-rerank-v2: Qwen2.5 models that answer 1 or 0 (revisions: of the cards' main branch)."""

from __future__ import annotations

from recross.checkpoints.contracts import PromptContract
from recross.checkpoints.published.record import PublishedCheckpoint

_BEFORE = (
    "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant."
    "<|im_end|>\n<|im_start|>user\n{}"
)
_TEXTS = (  # its authors tokenise every line alone
    "query: {query}{}\n{}document: {document}{}\n{}You are a search relevance expert who evaluates"
    " how well documents match search queries. For each query-document pair, carefully analyze the"
    " semantic relationship between them, then provide your binary relevance judgment (0 for not"
    " relevant, 1 for relevant).\nRelevance:{}<|im_end|>\n<|im_start|>assistant\n"
)
_CONTRACT = PromptContract(
    "mxbai-rerank-v2",
    f"{_BEFORE}{_TEXTS}",
    "margin",
    ("0", "1"),
    add_eos=False,
    max_length=8192,
    max_query_length=6144,  # three quarters
    instructed=f"{_BEFORE}instruction: {{instruction}}\n{_TEXTS}",
    source="https://github.com/mixedbread-ai/mxbai-rerank, mxbai_rerank_v2.py",
)

CHECKPOINTS = tuple(
    PublishedCheckpoint(
        (f"mixedbread-ai/mxbai-rerank-{size}-v2",), _CONTRACT, revision=None, licence=None
    )
    for size in ("base", "large")
)
