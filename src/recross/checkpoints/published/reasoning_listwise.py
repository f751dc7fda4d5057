"""Models that think before they write an order: ReasonRank (Liu et al. 2025) and Rank-K."""

from __future__ import annotations

from recross.checkpoints.generating import GeneratingContract
from recross.checkpoints.published.record import PublishedCheckpoint

_REASONRANK = GeneratingContract(
    "reasonrank",
    "ListwiseReranker",
    prompt="reasonrank",
    answer="an order in `<answer>` after the thought",
    limits="32768, of which 3072 are thoughts; windows of 20, step 10",
    source="https://github.com/castorini/rank_llm, reasonrank_template.yaml",
)
_RANK_K = GeneratingContract(
    "rank-k",
    "ListwiseReranker",
    prompt="rank_k",
    answer="an order after the thought",
    limits="8000 of thoughts; windows of 20, step 10, documents of 450 words",
    source="https://github.com/hltcoe/rank-k, rerank.py",
)

CHECKPOINTS = (
    PublishedCheckpoint(("liuwenhan/reasonrank-7B",), _REASONRANK, revision=None, licence="MIT"),
    PublishedCheckpoint(("liuwenhan/reasonrank-32B",), _REASONRANK, revision=None, licence="MIT"),
    PublishedCheckpoint(("hltcoe/Rank-K-32B",), _RANK_K, revision=None, licence=None),
)
