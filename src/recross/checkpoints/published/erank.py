"""ERank (Cai et al. 2025): Qwen3 that thinks about a document before it grades it."""

from __future__ import annotations

from recross.checkpoints.generating import GeneratingContract
from recross.checkpoints.published.record import PublishedCheckpoint

_CONTRACT = GeneratingContract(
    "erank",
    "RatingReranker",
    prompt="erank",
    answer="an integer, 0 to 10, in `<answer>` after the thought",
    limits="2048 of thoughts",
    source="https://arxiv.org/abs/2509.00520, figure 5",
)

CHECKPOINTS = (
    PublishedCheckpoint(("Alibaba-NLP/ERank-4B",), _CONTRACT, revision=None, licence="Apache-2.0"),
    PublishedCheckpoint(("Alibaba-NLP/ERank-14B",), _CONTRACT, revision=None, licence=None),
    PublishedCheckpoint(("Alibaba-NLP/ERank-32B",), _CONTRACT, revision=None, licence="Apache-2.0"),
)
