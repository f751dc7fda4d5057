"""A bi-encoder (Reimers & Gurevych 2019): queries and documents encoded apart, then multiplied."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np

from recross.artefacts.opening import open_once
from recross.checkpoints.first_stage_contracts import BiEncoderContract
from recross.checkpoints.location import CHECKPOINT
from recross.checkpoints.sentence_layout import read_bi_encoder, with_choices
from recross.collections.collection import Collection
from recross.machine.hardware import Hardware
from recross.parts.bounds import Ge, checked
from recross.parts.identity import handed_over
from recross.records import Cost, JsonObject
from recross.retrieval.cuts import count_query_cuts
from recross.retrieval.matches import make_run
from recross.retrieval.retriever import Retriever
from recross.retrieval.vector_index import Exact, Make, VectorIndex, VectorSearch
from recross.runs import Run
from recross.sharing.document_parts import DocumentParts
from recross.store import DEFAULT_STORE, Store

if TYPE_CHECKING:
    from recross.inference.encoders.pooled import EncodedTexts, Vectors
    from recross.inference.texts.collection_texts import CollectionTexts
    from recross.inference.texts.texts import NumberedTexts
    from recross.retrieval.document_vectors import DocumentVectors
    from recross.retrieval.sentence_encoder import SentenceEncoder

Side = Literal["query", "document"]


@dataclass(frozen=True)
@checked
class BiEncoder(Retriever):
    """Dense retrieval with a checkpoint in sentence-transformers' layout, or a bare encoder.

    ``index`` is ``Exact()``, or ``HNSW(...)``, ``IVF(...)`` or ``IVFPQ(...)``, which trade recall
    for speed, and memory.
    Vectors and approximate indexes lie in the store, in half precision; the vectors are the same
    for every index. A GPU searches the exact index, and IVF where faiss was built for it.

    ``None`` leaves what the checkpoint says, or what is published for it: its limit in tokens, the
    prompts before queries and documents, the similarity (products of vectors of length 1, or of
    vectors as they are), and how many of the vectors' numbers are kept.
    """

    checkpoint: str = field(metadata=CHECKPOINT)
    index: VectorIndex = field(default=Exact())
    max_length: Annotated[int, Ge(1)] | None = None
    query_prompt: str | None = None
    document_prompt: str | None = None
    similarity: Literal["cosine", "dot"] | None = None
    truncate_dim: Annotated[int, Ge(1)] | None = None
    store: Path = handed_over(DEFAULT_STORE)
    hardware: Hardware = handed_over(Hardware())

    def check(self) -> None:
        """Load the network."""
        _ = self._encoder

    @property
    def candidates(self) -> str:
        """What a table calls its rankings."""
        return f"BiEncoder {self.checkpoint}"

    def retrieve(self, collection: Collection, query_ids: Sequence[str], depth: int) -> Run:
        """Search the whole collection for all queries at once."""
        documents = self.document_vectors(collection)
        texts, numbers = self._texts_of(collection).queries(query_ids)
        encoded, cuts = self._encode(texts, "query")
        queries = encoded[numbers]

        def keep(settings: JsonObject, make: Make) -> Path:
            identity = {**settings, **self._identify_vectors(collection)}
            return Store(self.store).artefact("faiss", identity, make, resumable=True)

        device = self.hardware.device
        matches = self.index.find(VectorSearch(documents, queries, depth, keep, device))
        found = zip(query_ids, matches, strict=True)
        run = make_run("biencoder", documents.doc_ids, found, depth)
        return replace(run, cost=documents.cuts + cuts)

    def encode(self, texts: Sequence[str], side: Side) -> Vectors:
        """Vectors of queries or of documents in single precision, ``(N, D)``."""
        from recross.inference.texts.texts import GivenTexts

        return self._encode(GivenTexts(texts), side)[0]

    def _encode(self, texts: NumberedTexts, side: Side) -> tuple[Vectors, Cost]:
        """Vectors in the order of the texts, and how much was cut of them as queries."""
        encoder = self._encoder
        batches = list(encoder.encode(texts, encoder.prompt(side)))
        if not batches:
            return np.empty((0, 0), dtype=np.float32), Cost()
        vectors = np.empty((len(texts), batches[0].vectors.shape[1]), dtype=np.float32)
        cuts = Cost()
        for numbers, encoded, lengths, lost in batches:
            vectors[numbers] = encoded
            cuts += count_query_cuts(lengths, lost)
        return vectors, cuts

    @property
    def parameters(self) -> int:
        """The number of parameters of the encoder."""
        return self._encoder.parameters

    def document_vectors(self, collection: Collection) -> DocumentVectors:
        """Open every document's vector, encoded first unless they are already in the store.

        An encoding that was interrupted goes on where it stopped.
        """
        from recross.retrieval.document_vectors import DocumentVectors

        def make(folder: Path) -> JsonObject:
            doc_ids = list(collection.documents)
            texts = self._texts_of(collection).all_documents()
            return DocumentVectors.write(folder, texts, doc_ids, self._encode_documents, parts)

        parts = self._parts_of(collection)
        return open_once(DocumentVectors.open, parts.join(make))

    def document_parts(self, collection: Collection) -> list[DocumentParts]:
        """The documents' vectors, some thousands a part."""
        return [self._parts_of(collection)]

    def document_cost(self, collection: Collection) -> Cost:
        """What was read and cut of the documents when they were encoded."""
        return self.document_vectors(collection).cuts

    def _parts_of(self, collection: Collection) -> DocumentParts:
        from recross.retrieval.document_vectors import DocumentVectors, choose_chunk

        texts_of_all = cache(partial(self._texts_of, collection))

        def make(span: range, folder: Path) -> JsonObject:
            doc_ids, texts = texts_of_all().neighbours(span)
            return DocumentVectors.write_part(folder, texts, doc_ids, self._encode_documents)

        identity = self._identify_vectors(collection)
        documents = len(collection.documents)
        sizes = (documents, choose_chunk(documents))
        return DocumentParts(Store(self.store), "vectors", identity, *sizes, make)

    def _encode_documents(self, texts: NumberedTexts) -> Iterator[EncodedTexts]:
        encoder = self._encoder
        return encoder.encode(texts, encoder.prompt("document"))

    def _texts_of(self, collection: Collection) -> CollectionTexts:
        from recross.inference.texts.collection_texts import CollectionTexts

        return CollectionTexts(collection, self.store)

    @property
    def _encoder(self) -> SentenceEncoder:
        from recross.retrieval.sentence_encoder import load_encoder

        return load_encoder(self.checkpoint, self._contract, self.hardware)

    @cached_property
    def _contract(self) -> BiEncoderContract:
        return with_choices(
            read_bi_encoder(self.checkpoint),
            max_length=self.max_length,
            query_prompt=self.query_prompt,
            document_prompt=self.document_prompt,
            similarity=self.similarity,
            truncate_dim=self.truncate_dim,
        )

    def _identify_vectors(self, collection: Collection) -> JsonObject:
        """What documents' vectors depend on: how queries begin is none of it."""
        encoder = BiEncoder(self.checkpoint, hardware=self.hardware)
        contract = replace(self._contract, name="", query_prompt="", source="")
        return {
            "encoder": encoder,
            "contract": contract,
            "collection": collection.texts_fingerprint,
            "storage": "fp16",
        }
