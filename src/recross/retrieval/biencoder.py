"""A bi-encoder (Reimers & Gurevych 2019): queries and documents encoded apart, cosine compares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Annotated

import numpy as np

from recross.collections.collection import Collection
from recross.inference.encoders.pooled import Vectors
from recross.inference.texts.collection_texts import CollectionTexts
from recross.inference.texts.texts import GivenTexts, NumberedTexts
from recross.machine.hardware import Hardware
from recross.parts.bounds import Ge, checked
from recross.parts.identity import READ, handed_over
from recross.records import JsonObject
from recross.retrieval.document_vectors import DocumentVectors
from recross.retrieval.matches import make_run
from recross.retrieval.retriever import Retriever
from recross.retrieval.sentence_encoder import SentenceEncoder, load_encoder
from recross.retrieval.vector_index import Exact, Make, VectorIndex
from recross.runs import Run
from recross.store import DEFAULT_STORE, Store


@dataclass(frozen=True)
@checked
class BiEncoder(Retriever):
    """Dense retrieval with a sentence-transformers checkpoint.

    ``index`` is ``Exact()``, or ``HNSW(...)`` or ``IVF(...)``, which trade recall for speed.
    Vectors and approximate indexes lie in the store, in half precision; the vectors are the same
    for every index. A GPU searches the exact index, and IVF where faiss was built for it.
    """

    checkpoint: str = field(metadata=READ)
    index: VectorIndex = field(default=Exact())
    max_length: Annotated[int, Ge(1)] = 256
    store: Path = handed_over(DEFAULT_STORE)
    hardware: Hardware = handed_over(Hardware())

    @property
    def candidates(self) -> str:
        """What a table calls its rankings."""
        return f"BiEncoder {self.checkpoint}"

    def retrieve(self, collection: Collection, query_ids: Sequence[str], depth: int) -> Run:
        """Search the whole collection for all queries at once."""
        documents = self.document_vectors(collection)
        texts, numbers = self._texts_of(collection).queries(query_ids)
        queries = self._encode(texts)[numbers]

        def keep(settings: JsonObject, make: Make) -> Path:
            identity = {**settings, **self._identify_vectors(collection)}
            return Store(self.store).artefact("faiss", identity, make)

        matches = self.index.find(documents, queries, depth, keep, self.hardware.device)
        return make_run("biencoder", documents.doc_ids, zip(query_ids, matches, strict=True), depth)

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors in single precision, ``(N, D)``."""
        return self._encode(GivenTexts(texts))

    def _encode(self, texts: NumberedTexts) -> Vectors:
        batches = list(self._encoder.encode(texts))
        if not batches:
            return np.empty((0, 0), dtype=np.float32)
        vectors = np.empty((len(texts), batches[0][1].shape[1]), dtype=np.float32)
        for rows, encoded in batches:
            vectors[rows] = encoded
        return vectors

    @property
    def parameters(self) -> int:
        """The number of parameters of the encoder."""
        return self._encoder.parameters

    def document_vectors(self, collection: Collection) -> DocumentVectors:
        """Open every document's vector, encoded first unless they are already in the store.

        An encoding that was interrupted goes on where it stopped.
        """

        def make(folder: Path) -> JsonObject:
            doc_ids = list(collection.documents)
            texts = self._texts_of(collection).all_documents()
            return DocumentVectors.write(folder, texts, doc_ids, self._encoder.encode)

        identity = self._identify_vectors(collection)
        return _open(Store(self.store).artefact("vectors", identity, make, resumable=True))

    def _texts_of(self, collection: Collection) -> CollectionTexts:
        return CollectionTexts(collection, self.store)

    @property
    def _encoder(self) -> SentenceEncoder:
        return load_encoder(self.checkpoint, self.max_length, self.hardware)

    def _identify_vectors(self, collection: Collection) -> JsonObject:
        encoder = BiEncoder(self.checkpoint, max_length=self.max_length, hardware=self.hardware)
        return {"encoder": encoder, "collection": collection.texts_fingerprint, "storage": "fp16"}


@cache
def _open(folder: Path) -> DocumentVectors:
    return DocumentVectors.open(folder)
