"""RankT5 (Zhuang et al. 2023), as Soyoung97 published it, and in the paper's other forms."""

from __future__ import annotations

from recross.checkpoints.contracts import PromptContract
from recross.checkpoints.published.monot5 import T5_PRECISIONS
from recross.checkpoints.published.record import PublishedCheckpoint, ndcg

_PROMPT = "Query: {query} Document: {document}"
_LOGIT = ("<extra_id_10>",)

RANKT5 = PromptContract(
    "rankt5",
    _PROMPT,
    "logit",
    _LOGIT,
    source="https://huggingface.co/Soyoung97/RankT5-base",
    precisions=T5_PRECISIONS,
)
CONTRACTS = (
    # as the paper's own T5X task encodes its inputs: without an end of sequence
    PromptContract(
        "rankt5-t5x",
        _PROMPT,
        "logit",
        _LOGIT,
        add_eos=False,
        source="https://github.com/google-research/google-research/tree/master/rankt5",
        precisions=T5_PRECISIONS,
    ),
    PromptContract(
        "rankt5-encoder",
        _PROMPT,
        "head",
        source="Zhuang et al. 2023, RankT5, section 4.2",
        precisions=T5_PRECISIONS,
    ),
)
"""Contracts that no published checkpoint here has."""

_NUMBERS = {"base": ndcg(0.734, 0.745), "large": ndcg(0.737, 0.759), "3b": ndcg(0.721, 0.776)}

CHECKPOINTS = tuple(
    PublishedCheckpoint(
        (f"Soyoung97/RankT5-{size}",), RANKT5, revision=None, licence=None, numbers=numbers
    )
    for size, numbers in _NUMBERS.items()
)
