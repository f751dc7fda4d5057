"""Documents and queries of late interaction, encoded: all documents once, kept in the store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import KW_ONLY, dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from recross.artefacts.opening import open_once
from recross.checkpoints.late_contract import LateInteractionContract
from recross.checkpoints.location import CHECKPOINT
from recross.collections.collection import Collection
from recross.errors import InputError
from recross.inference.arrival import bring_back
from recross.inference.late_interaction.network import LateInteractionNetwork
from recross.inference.late_interaction.token_vectors import Floats, Storage, TokenVectors
from recross.inference.network import Forward
from recross.inference.runner import Runner
from recross.inference.sequences import Sequences
from recross.inference.spans import Ints
from recross.inference.texts.collection_texts import CollectionTexts
from recross.inference.texts.texts import NumberedTexts
from recross.machine.hardware import Hardware
from recross.parts.identity import handed_over
from recross.records import JsonObject
from recross.store import Store

_DOCUMENTS_AT_ONCE = 5_000
"""Documents tokenised and sorted together when a collection is encoded."""

EncodeDocuments = Callable[[NumberedTexts], Iterator[tuple[Floats, int]]]
"""Yields each document's vectors, in order, and how many tokens were cut off it."""


@dataclass(frozen=True)
class KeptVectors:
    """What stored token vectors are made with: re-ranker and first stage share those alike."""

    checkpoint: str = field(metadata=CHECKPOINT)
    contract: str | LateInteractionContract | None
    storage: Storage
    layers: int | None = None
    _: KW_ONLY
    hardware: Hardware = handed_over(Hardware())

    def keep(
        self,
        network: LateInteractionNetwork,
        collection: Collection,
        store: Path,
        most_bytes: int | None = None,
    ) -> TokenVectors:
        """Open the vectors of every document, encoded first unless they are in the store.

        An encoding that was interrupted goes on where it stopped.

        Raises:
            InputError: they would take more than ``most_bytes``.
        """

        def make(folder: Path) -> JsonObject:
            texts = CollectionTexts(collection, store).all_documents()
            if most_bytes is not None:
                self._check_size(network, texts, most_bytes)
            encode = make_document_encoder(network, self.hardware)
            doc_ids = list(collection.documents)
            return TokenVectors.write(folder, texts, doc_ids, encode, self.storage)

        identity = {"encoder": self, "collection": collection.texts_fingerprint}
        folder = Store(store).artefact("token_vectors", identity, make, resumable=True)
        return open_once(TokenVectors.open, folder)

    def _check_size(
        self, network: LateInteractionNetwork, documents: NumberedTexts, most_bytes: int
    ) -> None:
        """Count tokens, those that will be left out included, until there are too many."""
        of_token = network.contract.dimension * (1 if self.storage == "int8" else 2)
        tokens = 0
        for some in _divide(len(documents)):
            tokens += int(network.document_tokens(documents.take(some)).lengths.sum())
            if tokens * of_token > most_bytes:
                raise InputError(
                    f"most_gigabytes must be at least what the vectors of all {len(documents)}"
                    f" documents take, got {most_bytes / 1e9:g}: those of the first"
                    f" {some[-1] + 1} take {tokens * of_token / 1e9:.3g} (raise it, store int8,"
                    " or re-rank the candidates of another first stage)"
                )


def encode_query(network: LateInteractionNetwork, query: Sequences, device: torch.device) -> Floats:
    """Encode one query on the network's device, ``(L, dimension)``."""
    with torch.inference_mode():
        batch = network.query_vectors(query.on(device))
    vectors: Floats = batch[0].float().cpu().numpy()
    return vectors


def make_document_encoder(network: LateInteractionNetwork, hardware: Hardware) -> EncodeDocuments:
    """Make what encodes documents with the weights as they are now."""
    runner = Runner(hardware, network, partial(_encoding_on_one_device, hardware=hardware))

    def encode(documents: NumberedTexts) -> Iterator[tuple[Floats, int]]:
        for some in _divide(len(documents)):
            texts = network.document_tokens(documents.take(some))
            vectors: list[Floats] = [np.empty(0, np.float32)] * len(texts)
            for rows, encoded in runner.run(texts):
                for row, of_document in zip(rows, encoded, strict=True):
                    vectors[row] = of_document
            yield from zip(vectors, texts.lost[:, 0].tolist(), strict=True)

    return encode


def _divide(count: int) -> Iterator[Ints]:
    for begin in range(0, count, _DOCUMENTS_AT_ONCE):
        yield np.arange(begin, min(begin + _DOCUMENTS_AT_ONCE, count))


def _encoding_on_one_device(
    network: LateInteractionNetwork, hardware: Hardware
) -> partial[Callable[[], list[Floats]]]:
    encode = network.document_encoder(hardware)
    return partial(_encode_batch, network, encode, hardware.device)


def _encode_batch(
    network: LateInteractionNetwork, encode: Forward, device: torch.device, documents: Sequences
) -> Callable[[], list[Floats]]:
    """The vectors of each document of a batch, without those of tokens that are skipped."""
    batch = documents.on(device)
    vectors = bring_back(encode(batch).float())
    is_kept = bring_back(network.is_kept(batch.tokens))
    spans = [slice(*ends) for ends in pairwise(documents.offsets.tolist())]

    def wait() -> list[Floats]:
        every, kept = vectors(), is_kept()
        return [every[span][kept[span]] for span in spans]

    return wait
