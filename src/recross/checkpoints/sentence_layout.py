"""How a bi-encoder is to be read: as its own files say, and its record where they do not.

What is asked here needs no weights: prompts of both sides, pooling, similarity, and limits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from recross.checkpoints.contracts import Contract
from recross.checkpoints.first_stage_contracts import BiEncoderContract, Similarity
from recross.checkpoints.json_files import read_json
from recross.checkpoints.location import find_file, locate
from recross.checkpoints.module_folder import (
    TRANSFORMERS,
    ModuleEntry,
    ModuleFolder,
    read_modules,
    read_pooling,
)
from recross.checkpoints.published import find_published
from recross.checkpoints.resolution import CONTRACT_FILE, read_contract
from recross.checkpoints.source import load_tokenizer
from recross.errors import InputError
from recross.records import JsonObject

DOCUMENT_PROMPTS = ("document", "passage", "corpus")
"""Names of the prompt before documents, the first of them that is there."""
WITHOUT_END = 1 << 20
"""A limit in tokens that a tokenizer without a limit is taken to have."""
_Read = TypeVar("_Read", bound=Contract)
_TWO_SIDED = ("Router", "Asym")
"""Modules that send queries and documents through networks of their own."""


def read_bi_encoder(checkpoint: str) -> BiEncoderContract:
    """Read how texts become vectors of a checkpoint, and how these are compared.

    A contract stored beside the weights comes first. Then each fact is what the checkpoint's own
    modules say; what they do not say is as published for its id, and else as sentence-transformers
    has it: mean pooling, no prompts, the cosine, and the tokenizer's limit.

    Raises:
        InputError: queries and documents have networks of their own, or the similarity is none that
            is a product of vectors.
    """
    if Path(locate(checkpoint), CONTRACT_FILE).is_file():
        stored = read_contract(Path(locate(checkpoint)))
        if isinstance(stored, BiEncoderContract):
            return stored
    published = find_published(checkpoint)
    known = published.contract if published is not None else None
    record = known if isinstance(known, BiEncoderContract) else None
    modules = read_modules(checkpoint)
    if modules is None:
        return record or _read_bare(checkpoint)
    check_sides(modules)
    query_prompt, document_prompt = read_prompts(modules.settings)
    if record is not None and not (query_prompt or document_prompt):
        query_prompt, document_prompt = record.query_prompt, record.document_prompt
    return BiEncoderContract(
        record.name if record is not None else "bi-encoder",
        _find_pooling_modes(modules),
        find_limit(modules, record.max_length if record is not None else None),
        query_prompt,
        document_prompt,
        similarity=_find_similarity(modules, record),
        normalise="Normalize" in modules.kinds,
        truncate_dim=modules.settings.get("truncate_dim"),
        source=record.source if record is not None else "",
    )


def read_prompts(settings: JsonObject) -> tuple[str, str]:
    """What a model puts before queries and before documents, as its settings name it.

    The names are those that sentence-transformers' ``encode_query`` and ``encode_document`` look
    for; a ``default_prompt_name`` is for neither of them.
    """
    prompts: Mapping[str, str | None] = settings.get("prompts") or {}
    names = (name for name in DOCUMENT_PROMPTS if prompts.get(name) is not None)
    return prompts.get("query") or "", prompts.get(next(names, "")) or ""


def find_transformer(modules: ModuleFolder) -> ModuleEntry | None:
    """The module that holds a model of transformers, if the first one does."""
    first = modules.parts[0]
    return first if first.kind in TRANSFORMERS else None


def _read_bare(checkpoint: str) -> BiEncoderContract:
    """That of an encoder without modules: sentence-transformers then adds a pooling by itself."""
    config = _read_config(checkpoint, "")
    architectures = config.get("architectures") or [""]
    is_causal = str(architectures[0]).endswith("ForCausalLM") and config.get("is_causal", True)
    pooling = "lasttoken" if is_causal else "mean"
    return BiEncoderContract("bi-encoder", pooling, read_limit(checkpoint))


def _read_config(checkpoint: str, place: str) -> JsonObject:
    path = find_file(checkpoint, "config.json", place)
    return {} if path is None else read_json(path)


def check_sides(modules: ModuleFolder) -> None:
    """Refuse queries and documents that go through networks of their own.

    Raises:
        InputError: they do.
    """
    if sides := [kind for kind in modules.kinds if kind in _TWO_SIDED]:
        raise InputError(
            f"checkpoint must encode queries and documents by one network, got"
            f" {modules.checkpoint!r}, which has a {sides[0]}"
        )


def _find_pooling_modes(modules: ModuleFolder) -> str:
    pooling = modules.find("Pooling")
    return "mean" if pooling is None else "+".join(read_pooling(pooling.settings))


def find_limit(modules: ModuleFolder, recorded: int | None) -> int:
    """How many tokens a chain reads: as it says, as is recorded, or as its tokenizer has it."""
    transformer = find_transformer(modules)
    if transformer is None:
        return WITHOUT_END
    return modules.limit or recorded or read_limit(modules.checkpoint, transformer.place)


def read_limit(checkpoint: str, place: str = "") -> int:
    """How many tokens a tokenizer lets through to the model beside it."""
    positions = _read_config(checkpoint, place).get("max_position_embeddings") or WITHOUT_END
    most = load_tokenizer(checkpoint).model_max_length or WITHOUT_END
    return int(min(most, max(positions, 1), WITHOUT_END))


def _find_similarity(modules: ModuleFolder, record: BiEncoderContract | None) -> Similarity:
    named = modules.settings.get("similarity_fn_name")
    if named not in (None, "", "cosine", "dot"):
        raise InputError(
            f"similarity_fn_name must be cosine or dot, got {named!r} for {modules.checkpoint!r}:"
            " vectors are compared by their products"
        )
    if named:
        return "dot" if named == "dot" else "cosine"
    return record.similarity if record is not None else "cosine"


def with_choices(contract: _Read, **chosen: object) -> _Read:
    """Return the contract with what somebody chose otherwise; ``None`` leaves what it says."""
    given = {name: value for name, value in chosen.items() if value is not None}
    return replace(contract, **given)  # type: ignore[arg-type]
