"""Networks that turn each text into vectors of its own; a pair's score comes from those of two."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable

from torch import Tensor

from recross.inference.batches import PackedBatch
from recross.inference.encoders.encoder import EncoderForward
from recross.inference.network import Network
from recross.inference.paired_texts import PairedBatch, PairedTexts
from recross.inference.sequences import Sequences
from recross.inference.session import Session
from recross.inference.spans import Ints
from recross.inference.texts.texts import NumberedTexts


class TextEncoder(Network[PairedBatch]):
    """Encodes queries and documents apart, each of a batch once, and compares their vectors."""

    scale: float = 1.0
    """What training multiplies scores by."""

    @property
    def query_length(self) -> int:
        """How many tokens every query is filled up to; 0 where queries are as long as they are."""
        return 0

    @abstractmethod
    def query_tokens(self, queries: NumberedTexts) -> Sequences:
        """Turn each query into a token sequence of its own."""

    @abstractmethod
    def document_tokens(self, documents: NumberedTexts) -> Sequences:
        """Turn each document into a token sequence of its own."""

    @abstractmethod
    def query_vectors(
        self, queries: PackedBatch, forward: EncoderForward, dropout: float = 0.0
    ) -> Tensor:
        """Vectors of queries, one ``(Q, D)`` or several ``(Q, query_length, D)``."""

    @abstractmethod
    def document_vectors(
        self, documents: PackedBatch, forward: EncoderForward, dropout: float = 0.0
    ) -> Tensor:
        """Vectors of documents, one each ``(N, D)``, or one for every token ``(T, D)``."""

    @abstractmethod
    def similarities(self, queries: Tensor, documents: Tensor, batch: PairedBatch) -> Tensor:
        """Scores of a batch's pairs from the vectors of its texts, ``(B,)``."""

    def encode_texts(
        self, queries: NumberedTexts, documents: NumberedTexts, items: Ints
    ) -> PairedTexts:
        """Turn each text into a token sequence; items are pairs of (query, document) numbers."""
        query_tokens, document_tokens = self.query_tokens(queries), self.document_tokens(documents)
        return PairedTexts(query_tokens, document_tokens, items, self.query_length)

    def forward(self, batch: PairedBatch) -> Tensor:
        """Scores to train on, ``(B,)``."""
        return self.scale * self._score(batch, self.live, self.dropout)

    def answers(self, batch: PairedBatch) -> Tensor:
        """A text encoder has a score and no answers: ``(B, 1)``."""
        return self(batch)[:, None]  # type: ignore[no-any-return]

    def frozen_scorer(self, session: Session) -> Callable[[PairedBatch], Tensor]:
        """Return a fast scorer over copies of the encoder's weights."""
        forward = self.frozen(session.hardware)
        return lambda batch: self._score(batch, forward)

    def _score(self, batch: PairedBatch, forward: EncoderForward, dropout: float = 0.0) -> Tensor:
        queries = self.query_vectors(batch.queries, forward, dropout)
        documents = self.document_vectors(batch.documents, forward, dropout)
        return self.similarities(queries, documents, batch)


class SingleVectorEncoder(TextEncoder):
    """Turns queries and documents into one vector each; scores are products of these."""

    @abstractmethod
    def text_vectors(
        self, texts: PackedBatch, forward: EncoderForward, dropout: float = 0.0
    ) -> Tensor:
        """Vectors of texts, ``(B, D)``."""

    def vectors(self, texts: PackedBatch) -> Tensor:
        """Vectors to train on, ``(B, D)``."""
        return self.text_vectors(texts, self.live, self.dropout)

    def query_vectors(
        self, queries: PackedBatch, forward: EncoderForward, dropout: float = 0.0
    ) -> Tensor:
        """Vectors of queries, ``(Q, D)``."""
        return self.text_vectors(queries, forward, dropout)

    def document_vectors(
        self, documents: PackedBatch, forward: EncoderForward, dropout: float = 0.0
    ) -> Tensor:
        """Vectors of documents, ``(N, D)``."""
        return self.text_vectors(documents, forward, dropout)

    def similarities(self, queries: Tensor, documents: Tensor, batch: PairedBatch) -> Tensor:
        """Products of a batch's pairs, ``(B,)``."""
        return (queries[batch.query_rows] * documents[batch.document_rows]).sum(dim=1)
