"""Bi-encoders from their checkpoints: computed here, or else by sentence-transformers.

This is the only home of that library (Reimers & Gurevych 2019).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol, cast

import numpy as np

from recross.artefacts.opening import load_once
from recross.checkpoints import pretrained
from recross.checkpoints.first_stage_contracts import BiEncoderContract
from recross.checkpoints.loaded import LoadedModule, Tokenizer, find_fast_tokenizer
from recross.checkpoints.location import find_pinned_revision
from recross.checkpoints.module_folder import read_modules
from recross.checkpoints.sentence_layout import WITHOUT_END, find_transformer
from recross.checkpoints.source import find_source, read_component
from recross.checkpoints.weight_files import check_finite
from recross.inference.encoders.pooled import EncodedTexts, PooledEncoder
from recross.inference.prompted import PromptedTokens
from recross.inference.spans import Ints
from recross.inference.texts.texts import NumberedTexts
from recross.machine.hardware import Hardware
from recross.retrieval.sentence_modules import is_whole, load_modules

TEXTS_AT_ONCE = 1_024
"""Texts given to sentence-transformers together, which sorts them by length itself."""


class SentenceModel(LoadedModule, Protocol):
    """A SentenceTransformer: modules in a row, of which the first may hold a network."""

    max_seq_length: int | None
    tokenizer: Tokenizer | None

    def __getitem__(self, number: int) -> LoadedModule:
        """Return a module by its place."""


class TextVectors(Protocol):
    """What turns texts into vectors."""

    def encode(self, texts: NumberedTexts, prompt: str) -> Iterator[EncodedTexts]:
        """Yield texts that follow a prompt, batch by batch."""

    @property
    def parameters(self) -> int:
        """The number of parameters."""


@dataclass(frozen=True)
class SentenceEncoder:
    """Texts to vectors, by a network and the contract that it is read by."""

    contract: BiEncoderContract
    network: TextVectors
    hardware: Hardware

    def encode(self, texts: NumberedTexts, prompt: str) -> Iterator[EncodedTexts]:
        """Yield numbers of texts and their vectors ``(B, D)``, batch by batch."""
        self.hardware.prepare()
        yield from self.network.encode(texts, prompt)

    def prompt(self, side: Literal["query", "document"]) -> str:
        """What stands before the texts of one side."""
        contract = self.contract
        return contract.query_prompt if side == "query" else contract.document_prompt

    @property
    def parameters(self) -> int:
        """The number of parameters of the encoder."""
        return self.network.parameters


@dataclass(frozen=True)
class LibraryEncoder:
    """Any other chain, computed by sentence-transformers itself in fp32."""

    model: SentenceModel
    contract: BiEncoderContract

    def encode(self, texts: NumberedTexts, prompt: str) -> Iterator[EncodedTexts]:
        """Yield texts that follow a prompt, as many at a time as the library sorts by length."""
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            numbers = np.arange(start, min(start + TEXTS_AT_ONCE, len(texts)))
            some = texts.take(numbers)
            vectors = self.model.encode(
                list(some.strings()),
                prompt=prompt,
                normalize_embeddings=self.contract.similarity == "cosine",
                truncate_dim=self.contract.truncate_dim,
                show_progress_bar=False,
                convert_to_numpy=True,
            )
            vectors = vectors.astype(np.float32, copy=False)
            yield EncodedTexts(numbers, vectors, *self._count(some, prompt))

    def _count(self, texts: NumberedTexts, prompt: str) -> tuple[Ints, Ints]:
        """How many tokens of each text are read and lost; zeros for tokenizers of another kind."""
        tokenizer = self.model.tokenizer
        if tokenizer is None or find_fast_tokenizer(tokenizer) is None:
            nothing = np.zeros(len(texts), dtype=np.int64)
            return nothing, nothing
        sequences = PromptedTokens(tokenizer, prompt, self.contract.max_length).encode(texts)
        return sequences.lengths, sequences.lost[:, 0]

    @property
    def parameters(self) -> int:
        """The number of parameters of all modules."""
        return sum(parameter.numel() for parameter in self.model.parameters())


@load_once
def load_encoder(
    checkpoint: str, contract: BiEncoderContract, hardware: Hardware
) -> SentenceEncoder:
    """Load a checkpoint to encode texts as a contract says.

    Raises:
        InputError: the limit exceeds the encoder's positions, or weights are missing.
    """
    modules = load_modules(checkpoint, contract)
    if modules is None:
        model = _load_by_library(checkpoint, contract, hardware)
        return SentenceEncoder(contract, LibraryEncoder(model, contract), hardware)
    encoder, projections, _, contract = modules
    network = PooledEncoder(encoder.model, encoder.tokenizer, contract, hardware, projections)
    return SentenceEncoder(contract, network, hardware)


def _load_by_library(
    checkpoint: str, contract: BiEncoderContract, hardware: Hardware
) -> SentenceModel:
    """Read a SentenceTransformer, whose encoder gets weights that are known to be all there."""
    from sentence_transformers import SentenceTransformer  # seconds to import

    modules = read_modules(checkpoint)
    transformer = None if modules is None else find_transformer(modules)
    is_verified = transformer is not None and is_whole(checkpoint, transformer.place)
    verified = pretrained.load("encoder", checkpoint).model if is_verified else None
    source = find_source(checkpoint, modules)
    loaded = read_component(
        source,
        "modules",
        lambda: SentenceTransformer(
            source.location,
            device=str(hardware.device),
            revision=find_pinned_revision(checkpoint),
            trust_remote_code=False,
        ),
    )
    check_finite(checkpoint, loaded.named_parameters())
    model = cast(SentenceModel, loaded)
    if contract.max_length < WITHOUT_END:
        model.max_seq_length = contract.max_length
    if verified is not None:
        cast(Any, model)[0].model = verified.to(hardware.device)
    return model
