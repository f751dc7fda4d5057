"""Which contract a checkpoint scores by: given, named, stored, published, or its own config's."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import MISSING, asdict, fields
from pathlib import Path
from typing import TypeVar, get_type_hints

from recross.checkpoints.contracts import (
    ClassifierContract,
    Contract,
    PromptContract,
)
from recross.checkpoints.first_stage_contracts import BiEncoderContract, SparseContract
from recross.checkpoints.json_files import read_json
from recross.checkpoints.late_contract import LateInteractionContract
from recross.checkpoints.location import locate
from recross.checkpoints.published import find_contract, find_published, list_contracts
from recross.checkpoints.stored_values import check_stored_values
from recross.errors import InputError

CONTRACT_FILE = "recross_contract.json"
KINDS: dict[str, type[Contract]] = {
    kind.kind: kind
    for kind in (
        ClassifierContract,
        PromptContract,
        LateInteractionContract,
        BiEncoderContract,
        SparseContract,
    )
}
"""Kinds of contracts by what the file beside the weights calls them."""

C = TypeVar("C", bound=Contract)


def resolve_contract(
    checkpoint: str,
    given: str | Contract | None,
    kind: type[C],
    *,
    compares: bool = False,
    max_length: int | None = None,
    max_query_length: int | None = None,
    from_config: Callable[[], C | None] | None = None,
) -> C:
    """Find the contract of one kind that a checkpoint scores by.

    A ``given`` contract or name comes first, then the one stored beside the weights, then the one
    published for the id, then ``from_config``. Limits that are not ``None`` override its own.

    Raises:
        InputError: the name is unknown, there is no contract, it is of another kind, or it reads
            another number of documents.
    """
    contract = _find_given(given) or look_up_contract(checkpoint)
    match contract:
        case None | BiEncoderContract() | SparseContract() if from_config is not None:
            contract = from_config()  # an encoder of texts may become a re-ranker of any kind
    if contract is None:
        names = (one.name for one in list_contracts() if isinstance(one, kind))
        raise InputError(
            f"contract must be given for {checkpoint!r}, beside which none is stored and for which"
            f" none is published: {', '.join(names)}, or your own {kind.kind}"
        )
    if not isinstance(contract, kind):
        raise InputError(
            f"contract must be that of {kind.subject}, got {contract.name!r} for {checkpoint!r}"
        )
    if contract.compares != compares:
        wanted = "two documents, such as duot5" if compares else "one document"
        hint = "" if compares else " (DuoT5 and DuoBERT read two)"
        raise InputError(f"contract must read {wanted}, got {contract.name!r}{hint}")
    return contract.with_limits(max_length=max_length, max_query_length=max_query_length)


def _find_given(given: str | Contract | None) -> Contract | None:
    match given:
        case str():
            return find_contract(given)
    return given


def look_up_contract(checkpoint: str) -> Contract | None:
    """Find the contract stored beside a checkpoint's weights, or published for its id."""
    folder = Path(locate(checkpoint))
    if (folder / CONTRACT_FILE).is_file():
        return read_contract(folder)
    published = find_published(checkpoint)
    return published.contract if published is not None else None


def read_contract(folder: Path) -> Contract:
    """Read the contract stored beside the weights of a folder.

    Raises:
        InputError: the file is none of JSON, names a kind of contract that is not known, or holds
            what such a contract does not have or allow.
    """
    path = folder / CONTRACT_FILE
    values = dict(read_json(path))
    name = values.pop("kind", ClassifierContract.kind)
    kind = next((kind for known, kind in KINDS.items() if known == name), None)
    if kind is None:
        raise InputError(f"{path}: kind must be one of {', '.join(KINDS)}, got {name!r}")
    declared = {field.name: field for field in fields(kind) if field.name != "_"}
    if unknown := sorted(values.keys() - declared.keys()):
        raise InputError(
            f"{path}: {unknown[0]!r} must not be given for a {name}, which has"
            f" {', '.join(declared)}, got {values[unknown[0]]!r}"
        )
    needed = [key for key, field in declared.items() if field.default is MISSING]
    if missing := [key for key in needed if key not in values]:
        raise InputError(f"{path}: {missing[0]} must be given, got none")
    check_stored_values(path, values, get_type_hints(kind, include_extras=True))
    lists = {key: tuple(value) for key, value in values.items() if isinstance(value, list)}
    try:
        return kind(**values | lists)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def save_contract(contract: Contract, folder: Path) -> None:
    """Store the contract beside the weights."""
    values = asdict(contract)
    last = {name: values.pop(name) for name in ("source", "precisions")}
    text = json.dumps({"kind": contract.kind, **values, **last}, indent=2)
    (folder / CONTRACT_FILE).write_text(text + "\n", encoding="utf-8")
