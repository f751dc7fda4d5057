"""Token vectors of all documents of a collection: made once, in parts, and kept in a store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property
from pathlib import Path

from recross.artefacts.opening import open_once
from recross.checkpoints.late_contract import LateInteractionContract
from recross.checkpoints.location import CHECKPOINT
from recross.collections.collection import Collection
from recross.errors import InputError
from recross.inference.late_interaction import token_vectors
from recross.inference.late_interaction.encoding import count_document_tokens, make_document_encoder
from recross.inference.late_interaction.network import LateInteractionNetwork
from recross.inference.late_interaction.token_vectors import EncodeDocuments, Storage, TokenVectors
from recross.inference.texts.collection_texts import CollectionTexts
from recross.machine.hardware import Hardware
from recross.parts.identity import handed_over
from recross.records import JsonObject
from recross.sharing.document_parts import DocumentParts, choose_part_size
from recross.store import Store


@dataclass(frozen=True)
class KeptVectors:
    """What stored token vectors are made with: re-ranker and first stage share those alike."""

    checkpoint: str = field(metadata=CHECKPOINT)
    contract: str | LateInteractionContract | None
    storage: Storage
    layers: int | None = None
    _: KW_ONLY
    hardware: Hardware = handed_over(Hardware())


@dataclass(frozen=True)
class EncodedCollection:
    """The vectors of every document, encoded unless they are in the store.

    ``load`` gives the network of ``kept``, where something is to be encoded. Nothing is where all
    vectors would take more than ``most_bytes``.
    """

    kept: KeptVectors
    load: Callable[[], LateInteractionNetwork]
    collection: Collection
    store: Path
    most_bytes: int | None = None

    def open(self) -> TokenVectors:
        """Open the vectors; an encoding that was interrupted goes on where it stopped.

        Raises:
            InputError: they would take more than ``most_bytes``.
        """

        def make(folder: Path) -> JsonObject:
            texts, doc_ids = self._texts.all_documents(), list(self.collection.documents)
            encode, storage = self._encode, self.kept.storage
            return TokenVectors.write(folder, texts, doc_ids, encode, storage, self.parts)

        return open_once(TokenVectors.open, self.parts.join(make))

    @cached_property
    def parts(self) -> DocumentParts:
        """The vectors in parts, which are refused as all of them are."""

        def make(span: range, folder: Path) -> JsonObject:
            doc_ids, texts = self._texts.neighbours(span)
            encode, storage = self._encode, self.kept.storage
            return TokenVectors.write_part(folder, texts, doc_ids, encode, storage)

        identity = {"encoder": self.kept, "collection": self.collection.texts_fingerprint}
        documents = len(self.collection.documents)
        sizes = (documents, choose_part_size(documents, token_vectors.DOCUMENTS_AT_A_TIME))
        return DocumentParts(Store(self.store), "token_vectors", identity, *sizes, make)

    @cached_property
    def _texts(self) -> CollectionTexts:
        return CollectionTexts(self.collection, self.store)

    @cached_property
    def _encode(self) -> EncodeDocuments:
        if self.most_bytes is not None:
            self._check_size(self.load(), self.most_bytes)
        return make_document_encoder(self.load(), self.kept.hardware)

    def _check_size(self, network: LateInteractionNetwork, most_bytes: int) -> None:
        """Count tokens, those that will be left out included, until there are too many."""
        of_token = network.contract.dimension * (1 if self.kept.storage == "int8" else 2)
        documents = self._texts.all_documents()
        for counted, tokens in count_document_tokens(network, documents):
            if tokens * of_token > most_bytes:
                raise InputError(
                    f"most_gigabytes must be at least what the vectors of all {len(documents)}"
                    f" documents take, got {most_bytes / 1e9:g}: those of the first"
                    f" {counted} take {tokens * of_token / 1e9:.3g} (raise it, store int8,"
                    " or re-rank the candidates of another first stage)"
                )
