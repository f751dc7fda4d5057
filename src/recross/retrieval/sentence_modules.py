"""Chains of modules that are computed here: an encoder, a pooling, projections, a normalisation."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple, cast

from torch import nn

from recross.checkpoints.chain_modules import (
    KINDS_OF_MODULES,
    TORCH_ACTIVATIONS,
    load_module,
)
from recross.checkpoints.first_stage_contracts import BiEncoderContract
from recross.checkpoints.json_files import read_json
from recross.checkpoints.loaded import Model, Tokenizer, find_fast_tokenizer
from recross.checkpoints.location import find_file
from recross.checkpoints.module_folder import ModuleEntry, ModuleFolder, read_modules
from recross.checkpoints.pretrained import Pretrained, load
from recross.checkpoints.sentence_layout import find_transformer, read_bi_encoder
from recross.errors import InputError
from recross.inference.encoders.families import find_encoder
from recross.records import JsonObject

_PLAIN = {"method": "forward", "method_output_name": "last_hidden_state"}
"""How a Transformer says that it reads text and gives the last layer's states."""
_WHOLE = "sentence_embedding"
"""What a module reads and writes that works on a text's vector."""
_SPECIAL = ("query_expansion", "query_length", "document_length", "processing_kwargs")
"""Settings of a Transformer that make more of a text than its tokens."""


class SentenceModules(NamedTuple):
    """A chain that is computed here: an encoder, a pooling, projections, perhaps a normalisation.

    ``contract`` is that of the checkpoint with a limit that the encoder has positions for.
    """

    encoder: Pretrained
    projections: tuple[nn.Module, ...]
    entries: tuple[ModuleEntry, ...]
    """What the projections are called, and their settings."""
    contract: BiEncoderContract


def load_modules(checkpoint: str, contract: BiEncoderContract) -> SentenceModules | None:
    """Load a chain that can be computed here; ``None`` for any other.

    A limit of the checkpoint's own ends where its encoder has no more positions.

    Raises:
        InputError: another limit exceeds these positions, or weights are missing.
    """
    modules = read_modules(checkpoint)
    parts = () if modules is None else _list_projections(modules)
    transformer = None if modules is None else find_transformer(modules)
    place = "" if transformer is None else transformer.place
    if parts is None or not _is_plain(checkpoint, place, transformer, modules, contract):
        return None
    encoder = load("encoder", checkpoint)
    lowers = transformer is not None and transformer.settings.get("do_lower_case")
    if lowers and not _lowers(encoder.tokenizer):
        return None
    projections = tuple(load_module(cast(ModuleFolder, modules), part) for part in parts)
    limit = _fit_limit(checkpoint, encoder.model, contract.max_length)
    return SentenceModules(encoder, projections, parts, replace(contract, max_length=limit))


def _list_projections(modules: ModuleFolder) -> tuple[ModuleEntry, ...] | None:
    """The projections between a pooling and a normalisation; ``None`` for other chains."""
    first, *others = modules.parts
    if others and others[-1].kind == "Normalize":
        others = others[:-1]
    pooling, parts = others[:1], tuple(others[1:])
    is_known = first.kind == "Transformer" and [part.kind for part in pooling] == ["Pooling"]
    return parts if is_known and all(map(_is_projection, parts)) else None


def _is_projection(part: ModuleEntry) -> bool:
    """Whether a module with weights projects the pooled vector, and is known here."""
    settings = part.settings
    read = settings.get("module_input_name") or _WHOLE
    written = settings.get("module_output_name") or read
    activation = str(settings.get("activation_function") or "Identity").rpartition(".")[2]
    is_known = part.kind in KINDS_OF_MODULES and activation in TORCH_ACTIVATIONS
    return is_known and (read, written) == (_WHOLE, _WHOLE)


def _is_plain(
    checkpoint: str,
    place: str,
    transformer: ModuleEntry | None,
    modules: ModuleFolder | None,
    contract: BiEncoderContract,
) -> bool:
    """Whether nothing is asked of the encoder or the pooling but what is computed here."""
    if not is_whole(checkpoint, place):
        return False
    if transformer is None or modules is None:
        return True
    pooling = modules.find("Pooling")
    leaves_prompts_out = pooling is not None and pooling.settings.get("include_prompt") is False
    has_prompts = bool(contract.query_prompt or contract.document_prompt)
    return _reads_text(transformer.settings) and not (leaves_prompts_out and has_prompts)


def is_whole(checkpoint: str, place: str) -> bool:
    """Whether the encoder is a model of its own: no half of one, no adapter of another."""
    config = find_file(checkpoint, "config.json", place)
    if config is None or read_json(config).get("is_encoder_decoder"):
        return False
    return find_file(checkpoint, "adapter_config.json", place) is None


def _reads_text(settings: JsonObject) -> bool:
    """Whether a Transformer gives the last states of plain text, however it is saved."""
    text = (settings.get("modality_config") or {"text": _PLAIN}).get("text")
    return (
        settings.get("transformer_task", "feature-extraction") == "feature-extraction"
        and settings.get("module_output_name", "token_embeddings") == "token_embeddings"
        and text == _PLAIN
        and not any(settings.get(name) for name in _SPECIAL)
    )


def _lowers(tokenizer: Tokenizer) -> bool:
    """Whether a tokenizer turns capitals into small letters by itself."""
    backend = find_fast_tokenizer(tokenizer)
    return bool(getattr(getattr(backend, "normalizer", None), "lowercase", False))


def _fit_limit(checkpoint: str, model: Model, limit: int) -> int:
    positions = find_encoder(model.config).positions(model)
    if positions is None or limit <= positions:
        return limit
    if limit == read_bi_encoder(checkpoint).max_length:
        return positions
    raise InputError(
        f"max_length must not exceed the {positions} positions of {checkpoint!r}, got {limit}"
    )
