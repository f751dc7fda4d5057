"""Texts to token sequences: each text tokenised once, cut by a stated rule, joined by ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


class Template(NamedTuple):
    """Special tokens around a pair, e.g. ``[CLS] query [SEP] document [SEP]``, with segments."""

    before: list[int]
    between: list[int]
    after: list[int]
    segments: tuple[int, int, int, int, int]

    @property
    def size(self) -> int:
        """Tokens that are never cut."""
        return len(self.before) + len(self.between) + len(self.after)


class Cut(NamedTuple):
    """How many tokens of the query and of the document stay."""

    query: int
    document: int


def longest_first(query: int, document: int, room: int) -> Cut:
    """Cut the longer text first, as the published BERT cross-encoders were run.

    The document gives way until it is as short as the query; only then does the query lose
    tokens. Equal to the truncation of the ``tokenizers`` library.
    """
    if query + document <= room:
        return Cut(query, document)
    shorter = min(query, document)
    longer = max(shorter, room - shorter)
    if shorter + longer > room:
        shorter, longer = room // 2, room // 2 + room % 2
    return Cut(longer, shorter) if query > document else Cut(shorter, longer)


def query_then_document(query: int, document: int, room: int, query_limit: int) -> Cut:
    """Cut the query to its own limit, then the document to what is left."""
    kept = min(query, query_limit)
    return Cut(kept, min(document, max(room - kept, 0)))


@dataclass(frozen=True)
class Sequences:
    """Token sequences end to end; ``offsets`` ``(B + 1,)`` says where each begins."""

    tokens: Ints  # (T,)
    segments: Ints  # (T,)
    offsets: Ints  # (B + 1,)
    cut_queries: int = 0
    cut_documents: int = 0
    cut_tokens: int = 0

    @property
    def lengths(self) -> Ints:
        """Tokens of each sequence, ``(B,)``."""
        return np.diff(self.offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def take(self, which: Sequence[int] | Ints) -> Sequences:
        """These sequences, in this order."""
        which = np.asarray(which, dtype=np.int64)
        lengths = self.lengths[which]
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        within = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)
        at = np.repeat(self.offsets[which], lengths) + within
        return Sequences(self.tokens[at], self.segments[at], offsets)


@dataclass(frozen=True)
class PairTokenizer:
    """Joins queries and documents under one limit.

    ``max_length`` counts all tokens. With ``max_query_length`` the query is cut to it first, then
    the document; without, the longer text is cut first. The template always survives.
    """

    tokenizer: Any
    max_length: int
    max_query_length: int | None = None

    def encode(
        self, queries: Sequence[str], documents: Sequence[str], pairs: Sequence[tuple[int, int]]
    ) -> Sequences:
        """Encode ``pairs`` of (query number, document number); each text is tokenised once."""
        template = pair_template(self.tokenizer)
        query_ids, document_ids = self._tokenize(queries), self._tokenize(documents)
        room = self.max_length - template.size
        kinds = np.array(template.segments, dtype=np.int64)
        parts: list[list[int]] = []
        sizes: list[tuple[int, int, int, int, int]] = []
        cut_queries = cut_documents = cut_tokens = 0
        for query_number, document_number in pairs:
            query, document = query_ids[query_number], document_ids[document_number]
            cut = self._cut(len(query), len(document), room)
            parts += [template.before, query[: cut.query], template.between]
            parts += [document[: cut.document], template.after]
            sizes.append(tuple(map(len, parts[-5:])))  # type: ignore[arg-type]
            cut_queries += cut.query < len(query)
            cut_documents += cut.document < len(document)
            cut_tokens += len(query) + len(document) - cut.query - cut.document
        counts = np.array(sizes, dtype=np.int64).reshape(-1, 5)
        return Sequences(
            tokens=np.fromiter((t for part in parts for t in part), np.int64, counts.sum()),
            segments=np.repeat(np.tile(kinds, len(counts)), counts.ravel()),
            offsets=np.concatenate([[0], counts.sum(axis=1).cumsum()]).astype(np.int64),
            cut_queries=cut_queries,
            cut_documents=cut_documents,
            cut_tokens=cut_tokens,
        )

    def _cut(self, query: int, document: int, room: int) -> Cut:
        if self.max_query_length is None:
            return longest_first(query, document, room)
        return query_then_document(query, document, room, self.max_query_length)

    def _tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        if not texts:
            return []
        encoded = self.tokenizer(
            list(texts),
            add_special_tokens=False,
            return_attention_mask=False,
            return_token_type_ids=False,
            truncation=False,
            verbose=False,
        )
        ids: list[list[int]] = encoded["input_ids"]
        return ids


def pair_template(tokenizer: Any) -> Template:
    """Read a tokenizer's own special tokens off a pair of one-piece texts."""
    (one,), (two,) = (
        tokenizer(text, add_special_tokens=False)["input_ids"][:1] for text in ("a", "b")
    )
    encoded = tokenizer("a", "b", return_token_type_ids=True)
    ids, kinds = list(encoded["input_ids"]), list(encoded["token_type_ids"])
    first = ids.index(one)
    second = len(ids) - 1 - ids[::-1].index(two)
    between = kinds[first + 1] if second > first + 1 else kinds[second]
    return Template(
        before=ids[:first],
        between=ids[first + 1 : second],
        after=ids[second + 1 :],
        segments=(kinds[0], kinds[first], between, kinds[second], kinds[-1]),
    )
