"""How much of the texts a first stage has cut: counted where they are encoded, kept with them."""

from __future__ import annotations

import logging

from recross.inference.spans import Ints
from recross.records import Cost, JsonObject

logger = logging.getLogger(__name__)

_KEPT = ("tokens", "cut_documents", "cut_tokens", "cut_queries")


def count_document_cuts(lengths: Ints, lost: Ints) -> Cost:
    """Count documents that lost tokens, and tokens that were read and lost, ``(B,)`` each."""
    return Cost(
        tokens=int(lengths.sum()),
        cut_documents=int((lost > 0).sum()),
        cut_tokens=int(lost.sum()),
    )


def count_query_cuts(lengths: Ints, lost: Ints) -> Cost:
    """Count queries that lost tokens, and tokens that were read and lost, ``(B,)`` each."""
    return Cost(
        tokens=int(lengths.sum()), cut_queries=int((lost > 0).sum()), cut_tokens=int(lost.sum())
    )


def describe_cuts(cuts: Cost) -> JsonObject:
    """What was counted, as a manifest keeps it."""
    return {name: getattr(cuts, name) for name in _KEPT}


def read_cuts(facts: JsonObject) -> Cost:
    """What a manifest says was counted; nothing in those written before anything was."""
    return Cost(**{name: int(facts.get(name, 0)) for name in _KEPT})


def say_cuts(stage: str, cuts: Cost) -> None:
    """Say how many documents and queries were longer than a stage's model reads."""
    if cuts.cut_documents or cuts.cut_queries:
        logger.info(
            "%s: %s documents and %s queries are longer than it reads, and were cut by %s tokens",
            *(stage, *map("{:,}".format, (cuts.cut_documents, cuts.cut_queries, cuts.cut_tokens))),
        )
