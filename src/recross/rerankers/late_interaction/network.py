"""The network of late interaction: token vectors of queries and documents, and their MaxSim."""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from recross.checkpoints.contracts import LateInteractionContract
from recross.checkpoints.loaded import Model, Tokenizer
from recross.errors import InputError
from recross.inference.batches import PackedBatch
from recross.inference.encoders.attention import by_group
from recross.inference.encoders.families import encoder_of
from recross.inference.encoders.padded import recompute_activations
from recross.inference.network import Forward, Network
from recross.inference.preparation import Preparation
from recross.inference.sequences import Ints, Sequences, lay_out_spans
from recross.inference.session import Session
from recross.inference.tokens import Item, tokenize
from recross.machine.hardware import Hardware

OWN, FILLER, DOCUMENT = 0, 1, 2
"""What a token of a joint sequence is: the query's own, a mask that fills it up, the document's."""

Encode = Callable[[PackedBatch], Tensor]
"""Output vectors of every token of documents, ``(T, D)``."""


class QueryTokens(NamedTuple):
    """Queries as tokens, filled up with masks."""

    tokens: Ints  # (Q, query_length)
    own: Ints  # (Q,) how many are not masks
    lost: Ints  # (Q,) how many were cut


class LateInteractionNetwork(Network):
    """A BERT with a linear layer on every token, its tokenizer and its contract."""

    contract: LateInteractionContract
    kind = "late-interaction network"
    heads = ("linear",)

    def __init__(
        self,
        model: Model,
        tokenizer: Tokenizer,
        contract: LateInteractionContract,
        head_is_fresh: bool = False,
    ) -> None:
        super().__init__(
            *(model, tokenizer, contract, encoder_of(model.config)),
            limits={n: getattr(contract, n) for n in ("query_length", "document_length")},
            head_is_fresh=head_is_fresh,
        )
        self._query_marker = _token(tokenizer, contract.query_marker)
        self._document_marker = _token(tokenizer, contract.document_marker)
        self._skipped = _punctuation(tokenizer) if contract.skip_punctuation else []

    def encode(
        self, queries: Sequence[str], documents: Sequence[str], items: Sequence[Item]
    ) -> Sequences:
        """Joint sequences: ``query_length`` tokens of the query, then those of the document."""
        size = self.contract.query_length
        asked = self.query_tokens(queries)
        texts = self.document_tokens(documents)
        numbers = np.array(items, dtype=np.int64).reshape(-1, 2)
        lengths = texts.lengths[numbers[:, 1]]
        begins = np.stack(
            [numbers[:, 0] * size, asked.tokens.size + texts.offsets[numbers[:, 1]]], axis=1
        )
        counts = np.stack([np.full_like(lengths, size), lengths], axis=1)
        at, _ = lay_out_spans(begins.ravel(), counts.ravel())
        filler = np.arange(size) >= asked.own[:, None]
        kinds = np.concatenate(
            [np.where(filler, FILLER, OWN).ravel(), np.full(len(texts.tokens), DOCUMENT)]
        )
        pool = np.concatenate([asked.tokens.ravel(), texts.tokens])
        return Sequences(
            tokens=pool[at],
            segments=kinds[at],
            offsets=np.concatenate([[0], counts.sum(axis=1).cumsum()]).astype(np.int64),
            lost=np.column_stack([asked.lost[numbers[:, 0]], texts.lost[numbers[:, 1], 0]]),
        )

    def query_tokens(self, queries: Sequence[str]) -> QueryTokens:
        """Tokens of each query with its marker, cut to ``query_length`` or filled up with masks."""
        special = self.tokenizer
        size = self.contract.query_length
        rows, own, lost = [], [], []
        for ids in tokenize(special, queries):
            kept = ids[: size - 3]
            row = [special.cls_token_id, self._query_marker, *kept, special.sep_token_id]
            own.append(len(row))
            lost.append(len(ids) - len(kept))
            rows.append(row + [special.mask_token_id] * (size - len(row)))
        tokens = np.array(rows, dtype=np.int64).reshape(len(rows), size)
        return QueryTokens(tokens, np.array(own, dtype=np.int64), np.array(lost, dtype=np.int64))

    def document_tokens(self, documents: Sequence[str]) -> Sequences:
        """Tokens of each document with its marker, cut to ``document_length``."""
        special = self.tokenizer
        before = [special.cls_token_id, self._document_marker]
        room = self.contract.document_length - 3
        texts = tokenize(special, documents)
        rows = [[*before, *ids[:room], special.sep_token_id] for ids in texts]
        lost = np.array([[max(len(ids) - room, 0)] for ids in texts], np.int64).reshape(-1, 1)
        return Sequences.of(rows, lost)

    def prepare_training(self, settings: Preparation) -> None:
        """Set dropout, freeze and add what ``settings`` say; queries have their own forward."""
        super().prepare_training(settings)
        if settings.gradient_checkpointing:
            recompute_activations(self.model)

    def forward(self, batch: PackedBatch) -> Tensor:
        """Scores to train on, ``(B,)``."""
        return self._score(batch, lambda documents: self.live.states(documents, self.dropout))

    def answers(self, batch: PackedBatch) -> Tensor:
        """MaxSim has a score and no answers: ``(B, 1)``."""
        return self(batch)[:, None]  # type: ignore[no-any-return]

    def frozen_scorer(self, session: Session) -> Forward:
        """Return a fast scorer by MaxSim."""
        encode = self.frozen(session.hardware).states
        return lambda batch: self._score(batch, encode)

    def document_encoder(self, hardware: Hardware) -> Encode:
        """Return a fast encoder of documents with the weights as they are now."""
        self.check(hardware)
        self.to(hardware.device)
        return self.frozen(hardware).states

    def document_vectors(self, documents: PackedBatch, encode: Encode) -> Tensor:
        """Unit vectors of every token, ``(T, dimension)``."""
        return F.normalize(self.model.linear(encode(documents).float()), dim=-1)

    def query_vectors(self, tokens: Tensor, own: Tensor) -> Tensor:
        """Unit vectors ``(Q, query_length, dimension)``; masks are vectors too."""
        seen = torch.ones_like(own) if self.contract.attends_to_masks else own
        found = self.model.bert(input_ids=tokens, attention_mask=seen.long()).last_hidden_state
        return F.normalize(self.model.linear(found), dim=-1)

    def is_kept(self, tokens: Tensor) -> Tensor:
        """Which document tokens take part, ``(T,)``."""
        return ~torch.isin(tokens, torch.tensor(self._skipped, device=tokens.device))

    def _score(self, batch: PackedBatch, encode: Encode) -> Tensor:
        size = self.contract.query_length
        head = batch.starts[:, None] + torch.arange(size, device=batch.starts.device)
        asked, which = torch.unique(batch.tokens[head], dim=0, return_inverse=True)
        own = torch.zeros_like(asked, dtype=torch.bool)
        own[which] = batch.segments[head] == OWN
        queries = self.query_vectors(asked, own)  # (U, query_length, dimension)
        documents = _documents(batch, size)
        vectors = self.document_vectors(documents, encode)
        kept = self.is_kept(documents.tokens)
        scores = []
        counts = [count for count, _ in documents.groups]
        grouped = zip(
            torch.split(queries[which], counts),
            by_group(vectors, documents.groups),
            by_group(kept[:, None], documents.groups),
            strict=True,
        )
        for query, document, is_kept in grouped:
            similar = torch.einsum("nqk,nlk->nql", query, document)
            similar = similar.masked_fill(~is_kept.transpose(1, 2), float("-inf"))
            scores.append(similar.amax(dim=-1).sum(dim=-1))
        return torch.cat(scores)


def _documents(batch: PackedBatch, size: int) -> PackedBatch:
    """The document part of joint sequences."""
    is_document = batch.segments == DOCUMENT
    lengths = [(count, length - size) for count, length in batch.groups]
    starts = batch.starts - size * torch.arange(len(batch), device=batch.starts.device)
    return PackedBatch(
        tokens=batch.tokens[is_document],
        segments=torch.zeros_like(batch.segments[is_document]),
        positions=batch.positions[is_document] - size,
        starts=starts,
        groups=lengths,
    )


def _token(tokenizer: Tokenizer, token: str) -> int:
    number = tokenizer.get_vocab().get(token)
    if number is None:
        raise InputError(f"marker must be an entry of the tokenizer's vocabulary, got {token!r}")
    return int(number)


def _punctuation(tokenizer: Tokenizer) -> list[int]:
    return sorted({ids[0] for ids in tokenize(tokenizer, list(string.punctuation)) if ids})
