"""Encoders in sentence-transformers' layout (Reimers & Gurevych 2019); that library's only home."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Protocol, cast

import numpy as np
import torch

from recross.checkpoints.loaded import LoadedModule, Model, Tokenizer
from recross.checkpoints.location import locate
from recross.errors import InputError
from recross.inference.encoders.families import find_encoder
from recross.inference.encoders.pooled import PooledEncoder, Pooling, Vectors
from recross.inference.spans import Ints
from recross.inference.texts.texts import NumberedTexts
from recross.machine.hardware import Hardware

TEXTS_AT_ONCE = 1_024
"""Texts given to sentence-transformers together, which sorts them by length itself."""


class SentenceModel(LoadedModule, Protocol):
    """A SentenceTransformer: modules in a row, of which the first holds a model of transformers."""

    default_prompt_name: str | None
    max_seq_length: int

    def __getitem__(self, number: int) -> LoadedModule:
        """Return a module by its place."""

    def __iter__(self) -> Iterator[LoadedModule]:
        """Go through the modules."""


@dataclass(frozen=True)
class SentenceEncoder:
    """Texts to unit vectors: through ``packed`` or, without it, sentence-transformers in fp32."""

    model: SentenceModel
    packed: PooledEncoder | None
    hardware: Hardware

    def encode(self, texts: NumberedTexts) -> Iterator[tuple[Ints, Vectors]]:
        """Yield numbers of texts and their vectors ``(B, D)``, batch by batch."""
        self.hardware.prepare()
        if self.packed is None:
            yield from self._padded(texts.strings())
        else:
            yield from self.packed.encode(texts)

    def _padded(self, texts: Sequence[str]) -> Iterator[tuple[Ints, Vectors]]:
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            batch = list(texts[start : start + TEXTS_AT_ONCE])
            vectors = self.model.encode(
                batch, normalize_embeddings=True, show_progress_bar=False, convert_to_numpy=True
            )
            yield np.arange(start, start + len(batch)), vectors.astype(np.float32, copy=False)

    @property
    def parameters(self) -> int:
        """The number of parameters of the encoder."""
        return sum(parameter.numel() for parameter in self.model.parameters())


@cache
def load_encoder(checkpoint: str, max_length: int, hardware: Hardware) -> SentenceEncoder:
    """Load a checkpoint; texts are cut to ``max_length`` tokens.

    Raises:
        InputError: ``max_length`` exceeds the encoder's positions.
    """
    model = read_model(checkpoint, hardware.device, max_length)
    pooling = find_pooling(model)
    if pooling is None:
        return SentenceEncoder(model, None, hardware)
    encoder = PooledEncoder(*get_transformer(model), pooling, max_length, hardware)
    return SentenceEncoder(model, encoder, hardware)


def read_model(checkpoint: str, device: torch.device, max_length: int) -> SentenceModel:
    """Read a SentenceTransformer of one's own, not one that others share.

    Raises:
        InputError: ``max_length`` exceeds the encoder's positions.
    """
    from sentence_transformers import SentenceTransformer  # seconds to import

    loaded = SentenceTransformer(locate(checkpoint), device=str(device))
    model = cast(SentenceModel, loaded)
    model.max_seq_length = max_length
    if find_pooling(model) is not None:
        network, _ = get_transformer(model)
        positions = find_encoder(network.config).positions(network)
        if positions is not None and max_length > positions:
            raise InputError(
                f"max_length must not exceed the {positions} positions of {checkpoint!r},"
                f" got {max_length}"
            )
        network.float()  # weights saved in half precision, too
    return model


def get_transformer(model: SentenceModel) -> tuple[Model, Tokenizer]:
    """The encoder of a plain SentenceTransformer, and its tokenizer."""
    return model[0].auto_model, model[0].tokenizer


def find_pooling(model: SentenceModel) -> Pooling | None:
    """The pooling of a SentenceTransformer that ``PooledEncoder`` computes, or None.

    It is one of a BERT-like encoder, a mean or first-token pooling and perhaps a normalisation,
    without prompts, adapters or other additions.
    """
    kinds = [type(module).__name__ for module in model]
    if kinds not in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]):
        return None
    transformer, pooling = model[0], _pooling(model[1])
    network = transformer.auto_model
    is_plain = (
        find_encoder(network.config).packs
        and type(network).__name__.endswith("Model")
        and not getattr(network, "_hf_peft_config_loaded", False)
        and not getattr(transformer, "do_lower_case", False)
        and model.default_prompt_name is None
        and getattr(model, "truncate_dim", None) is None
    )
    return cast(Pooling, pooling) if is_plain and pooling in ("mean", "cls") else None


def _pooling(module: LoadedModule) -> str:
    """The mode of a Pooling module, whose settings the library once kept as booleans."""
    if hasattr(module, "pooling_mode"):
        return str(module.pooling_mode)
    return str(module.get_pooling_mode_str())
