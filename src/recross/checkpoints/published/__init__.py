"""Published checkpoints: one record each, one file a family, found under every spelling."""

from __future__ import annotations

from recross.checkpoints.contracts import Contract
from recross.checkpoints.published import (
    bge,
    castorini,
    colbert,
    contextual,
    first,
    mixedbread,
    monot5,
    nboost,
    qwen,
    rank1,
    rankt5,
    reasoning_listwise,
    sentence_transformers,
    unicamp,
    webis,
    zeroentropy,
)
from recross.checkpoints.published.record import PublishedCheckpoint
from recross.errors import InputError

PUBLISHED: tuple[PublishedCheckpoint, ...] = (
    *sentence_transformers.CHECKPOINTS,
    *bge.CHECKPOINTS,
    *webis.CHECKPOINTS,
    *castorini.CHECKPOINTS,
    *nboost.CHECKPOINTS,
    *monot5.MONO_CHECKPOINTS,
    *unicamp.CHECKPOINTS,
    *rankt5.CHECKPOINTS,
    *monot5.DUO_CHECKPOINTS,
    *qwen.CHECKPOINTS,
    *mixedbread.CHECKPOINTS,
    *zeroentropy.CHECKPOINTS,
    *contextual.CHECKPOINTS,
    *bge.GEMMA,
    *castorini.LANGUAGE_MODELS,
    *rank1.CHECKPOINTS,
    *first.CHECKPOINTS,
    *reasoning_listwise.CHECKPOINTS,
    *colbert.CHECKPOINTS,
)
NAMED_ONLY: tuple[Contract, ...] = (*rankt5.CONTRACTS, *monot5.CONTRACTS, *zeroentropy.CONTRACTS)
"""Contracts that no published checkpoint scores by unless they are named."""

_BY_ID = {spelling: record for record in PUBLISHED for spelling in record.ids}
_BY_NAME: dict[str, Contract] = {
    **{record.contract.name: record.contract for record in PUBLISHED},
    **{contract.name: contract for contract in NAMED_ONLY},
    **{  # a contract was once called as its checkpoint was
        spelling.rpartition("/")[2]: record.contract
        for record in PUBLISHED
        for spelling in record.ids[:-1]
    },
}


def find_published(checkpoint: str) -> PublishedCheckpoint | None:
    """Find what is known of a hub id, in any of its spellings."""
    return _BY_ID.get(checkpoint)


def list_contracts() -> list[Contract]:
    """Every contract that has a name, once."""
    return list({contract.name: contract for contract in _BY_NAME.values()}.values())


def find_contract(name: str) -> Contract:
    """Find a contract by its name.

    Raises:
        InputError: there is none of that name.
    """
    if name not in _BY_NAME:
        raise InputError(f"contract must be one of {', '.join(_BY_NAME)}, got {name!r}")
    return _BY_NAME[name]
