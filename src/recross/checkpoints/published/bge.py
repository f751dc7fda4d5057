"""BAAI's bge-reranker: XLM-R with one logit (revisions: of the cards' main branch)."""

from __future__ import annotations

from recross.checkpoints.contracts import ClassifierContract
from recross.checkpoints.published.record import GoldenScore, PublishedCheckpoint

_CARD = "model card, in fp16"
_PANDA = (
    "The giant panda (Ailuropoda melanoleuca), sometimes called a panda bear or simply panda, is a"
    " bear species endemic to China."
)


def _bge(
    name: str, revision: str, licence: str, golden: tuple[GoldenScore, ...] = ()
) -> PublishedCheckpoint:
    contract = ClassifierContract(name, source=f"https://huggingface.co/BAAI/{name}")
    return PublishedCheckpoint(
        (f"BAAI/{name}",), contract, revision=revision, licence=licence, golden=golden
    )


CHECKPOINTS = (
    _bge("bge-reranker-base", "2cfc18c9415c912f9d8155881c133215df768a70", "MIT"),
    _bge("bge-reranker-large", "55611d7bca2a7133960a6d3b71e083071bbfc312", "MIT"),
    _bge(
        "bge-reranker-v2-m3",
        "953dc6f6f85a1b2dbfca4c34a2796e7dde08d41e",
        "Apache-2.0",
        (
            GoldenScore("query", "passage", -5.65234375, 0.05, _CARD),
            GoldenScore("what is panda?", "hi", -8.1875, 0.05, _CARD),
            GoldenScore("what is panda?", _PANDA, 5.26171875, 0.05, _CARD),
        ),
    ),
)
