"""Webis's monoELECTRA, distilled from language models (Rank-DistiLLM), in lightning-ir's layout."""

from __future__ import annotations

from recross.checkpoints.contracts import ClassifierContract
from recross.checkpoints.published.record import PublishedCheckpoint, PublishedNumber, ndcg


def _make_monoelectra(size: str, numbers: tuple[PublishedNumber, ...]) -> PublishedCheckpoint:
    name = f"monoelectra-{size}"
    contract = ClassifierContract(
        f"webis-{name}",
        max_length=291,  # queries of 32 tokens, documents of 256, three special ones
        max_query_length=32,
        source=f"https://huggingface.co/webis/{name}",
    )
    return PublishedCheckpoint(
        (f"webis/{name}",), contract, revision=None, licence=None, numbers=numbers
    )


CHECKPOINTS = (
    _make_monoelectra("base", ndcg(0.751, 0.769)),
    _make_monoelectra("large", ndcg(0.750, 0.791)),
)
