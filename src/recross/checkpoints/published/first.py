"""FIRST (Gangi Reddy et al. 2024): listwise models whose first token's logits are the order."""

from __future__ import annotations

from recross.checkpoints.generating import GeneratingContract
from recross.checkpoints.published.record import PublishedCheckpoint

_CONTRACT = GeneratingContract(
    "first",
    "FirstTokenReranker",
    prompt="first",
    answer="order of the letters' logits after `[`",
    limits="4096; windows of 20, step 10",
    source="https://github.com/castorini/rank_llm, rank_zephyr_alpha_template.yaml",
)

CHECKPOINTS = (
    PublishedCheckpoint(("castorini/first_mistral",), _CONTRACT, revision=None, licence="MIT"),
    PublishedCheckpoint(("rryisthebest/First_Model",), _CONTRACT, revision=None, licence=None),
)
