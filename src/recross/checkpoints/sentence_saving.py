"""A trained bi-encoder in sentence-transformers' layout, so that the library reads it as it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import nn

from recross.checkpoints.chain_modules import save_module
from recross.checkpoints.first_stage_contracts import BiEncoderContract
from recross.checkpoints.module_folder import (
    POOLING_SWITCHES,
    ModuleEntry,
    ModuleFolder,
    write_modules,
)
from recross.records import JsonObject
from recross.store import write_json

_PACKAGE = "sentence_transformers.models"
"""Where every version of the library so far finds its modules."""
_VERSIONS = {"sentence_transformers": "2.7.0"}
"""The first version that knows all that is written here."""


def save_sentence_layout(
    folder: Path,
    contract: BiEncoderContract,
    width: int,
    projections: Sequence[tuple[ModuleEntry, nn.Module]],
) -> None:
    """Describe the encoder in a folder, whose states are ``width`` wide, as a chain of modules.

    Prompts, limit, pooling, normalisation and similarity are those of the contract; projections
    have the settings that they were read with.
    """
    limit = {"max_seq_length": contract.max_length, "do_lower_case": False}
    write_json(folder / "sentence_bert_config.json", limit)
    kinds = [("Transformer", limit), ("Pooling", _describe_pooling(contract, width))]
    kinds += [(entry.kind, entry.settings) for entry, _ in projections]
    kinds += [("Normalize", {})] if contract.normalise else []
    parts = tuple(
        ModuleEntry(kind, f"{n}_{kind}" if n else "", settings, f"{_PACKAGE}.{kind}")
        for n, (kind, settings) in enumerate(kinds)
    )
    for part in parts[1:]:
        write_json(folder / part.place / "config.json", part.settings)
    for part, (_, module) in zip(parts[2:], projections, strict=False):
        save_module(module, part, folder)
    write_modules(ModuleFolder(str(folder), parts, _describe_model(contract)), folder)


def _describe_model(contract: BiEncoderContract) -> JsonObject:
    cut = {"truncate_dim": contract.truncate_dim} if contract.truncate_dim is not None else {}
    return {
        "__version__": _VERSIONS,
        "prompts": {"query": contract.query_prompt, "document": contract.document_prompt},
        "default_prompt_name": None,
        "similarity_fn_name": contract.similarity,
        **cut,
    }


def _describe_pooling(contract: BiEncoderContract, width: int) -> JsonObject:
    """A Pooling's settings: one mode as every version reads it, several as today's does."""
    if len(contract.poolings) > 1:
        return {"embedding_dimension": width, "pooling_mode": list(contract.poolings)}
    switches = {switch: mode in contract.poolings for switch, mode in POOLING_SWITCHES.items()}
    return {"word_embedding_dimension": width, **switches}
