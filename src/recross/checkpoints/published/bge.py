"""BAAI's bge-reranker: XLM-R with one logit (revisions: of the cards' main branch), and Gemma."""

from __future__ import annotations

from recross.checkpoints.contracts import ClassifierContract, PromptContract
from recross.checkpoints.published.record import GoldenScore, PublishedCheckpoint

_CARD = "model card, in fp16"
_PANDA = (
    "The giant panda (Ailuropoda melanoleuca), sometimes called a panda bear or simply panda, is a"
    " bear species endemic to China."
)


def _bge(
    name: str,
    revision: str,
    licence: str,
    golden: tuple[GoldenScore, ...] = (),
    max_length: int = 512,
) -> PublishedCheckpoint:
    contract = ClassifierContract(
        name, max_length=max_length, source=f"https://huggingface.co/BAAI/{name}"
    )
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
        max_length=8_192,
    ),
    PublishedCheckpoint(
        ("BAAI/bge-reranker-v2-gemma",),
        PromptContract(
            "bge-reranker-v2-gemma",
            # query, document and question are tokenised apart
            "<bos>{}A: {query}{}\n{}B: {document}{}\n{}Given a query A and a passage B, determine"
            " whether the passage contains an answer to the query by providing a prediction of"
            " either 'Yes' or 'No'.",
            "logit",
            ("Yes",),
            add_eos=False,
            max_length=1024,
            max_query_length=768,  # three quarters
            source="https://github.com/FlagOpen/FlagEmbedding,"
            " inference/reranker/decoder_only/base.py",
        ),
        revision=None,
        licence=None,
    ),
)
