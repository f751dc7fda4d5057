"""rank1 (Weller et al. 2025): Qwen2.5 that thinks about a passage before it says true or false."""

from __future__ import annotations

from recross.checkpoints.generating import GeneratingContract
from recross.checkpoints.published.record import PublishedCheckpoint

_CONTRACT = GeneratingContract(
    "rank1",
    "ThinkingReranker",
    prompt="rank1",
    answer="share of ` true` against ` false` after the thought",
    limits="16000, of which 8192 are thoughts",
    source="https://github.com/orionw/rank1, rank1.py",
)
_LICENCES = {  # as the cards say that were read
    **dict.fromkeys(("0.5b", "1.5b", "3b", "7b")),
    **dict.fromkeys(("14b", "32b"), "MIT"),
}

CHECKPOINTS = tuple(
    PublishedCheckpoint((f"jhu-clsp/rank1-{size}",), _CONTRACT, revision=None, licence=licence)
    for size, licence in _LICENCES.items()
)
