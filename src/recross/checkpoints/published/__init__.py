"""Published checkpoints: one record each, one file a family, found under every spelling."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from recross.checkpoints.contracts import Contract
from recross.checkpoints.published.record import PublishedCheckpoint
from recross.errors import InputError
from recross.parts.closest import say_unknown

_FAMILIES = [
    import_module(f"{__name__}.{found.name}")
    for found in iter_modules(__path__)
    if found.name != "record"
]
"""A file beside this one is a family: its ``CHECKPOINTS``, and ``CONTRACTS`` that have none."""

PUBLISHED: tuple[PublishedCheckpoint, ...] = tuple(
    record for family in _FAMILIES for record in family.CHECKPOINTS
)
NAMED_ONLY: tuple[Contract, ...] = tuple(
    contract for family in _FAMILIES for contract in getattr(family, "CONTRACTS", ())
)
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
        raise InputError(say_unknown("contract", name, _BY_NAME))
    return _BY_NAME[name]
