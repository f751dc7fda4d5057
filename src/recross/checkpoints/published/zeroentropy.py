"""zerank: Qwen3 models, the query as the system's turn and the document as the user's."""

from __future__ import annotations

from dataclasses import replace

from recross.checkpoints.contracts import PromptContract
from recross.checkpoints.published.record import GoldenScore, PublishedCheckpoint

_CARD = "https://huggingface.co/zeroentropy/zerank-2"
_REFERENCE = "limits: rcp-ndcg, experiments/paper/rerankers; its code for zerank-1 strips texts"
_DOCUMENT = "<|im_end|>\n<|im_start|>user\n{document}<|im_end|>\n<|im_start|>assistant\n"
_CONTRACT = PromptContract(
    "zerank",
    "<|im_start|>system\n{query}" + _DOCUMENT,
    "logit",
    ("Yes",),
    add_eos=False,
    max_length=8192,
    max_query_length=4096,
    source=f"{_CARD} (the raw logit since May 2026); {_REFERENCE}",
)
_INSTRUCTED = replace(
    _CONTRACT,
    name="zerank-2",
    instructed="<|im_start|>system\n<query>{query}</query>\n<instruction>{instruction}"
    "</instruction>" + _DOCUMENT,
    source=f"{_CONTRACT.source}; instruction: vllm, examples/pooling/score/template/zerank2.jinja",
)

CONTRACTS = (
    replace(_CONTRACT, name="zerank-probability", read_out="sigmoid", temperature=5.0),
    replace(_INSTRUCTED, name="zerank-2-probability", read_out="sigmoid", temperature=5.0),
)
"""Scores between 0 and 1, as these checkpoints gave them first and rcp-ndcg reads them."""

CHECKPOINTS = (
    PublishedCheckpoint(
        ("zeroentropy/zerank-1", "zeroentropy/zerank-1-reranker"),
        _CONTRACT,
        revision="d03c467e29e29c0a16a130a86ce3b62d30116a2c",  # all three as in rcp-ndcg
        licence="CC-BY-NC-4.0",
    ),
    PublishedCheckpoint(
        ("zeroentropy/zerank-1-small", "zeroentropy/zerank-1-small-reranker"),
        _CONTRACT,
        revision="a65fd51c450e9b47fdddab98e31166ecad21af8d",
        licence="Apache-2.0",
    ),
    PublishedCheckpoint(
        ("zeroentropy/zerank-2", "zeroentropy/zerank-2-reranker"),
        _INSTRUCTED,
        revision="5eae30d5ee3c6b2df2ef6d723bde45172d761c4c",
        licence="CC-BY-NC-4.0",
        golden=tuple(
            GoldenScore("What is 2+2?", document, score, 0.2, "model card, in bf16")
            for document, score in (
                ("4", 5.4062),
                ("The answer is definitely 1 million", -4.5),
            )
        ),
    ),
)
