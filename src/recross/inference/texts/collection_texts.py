"""The texts of a collection as networks read them: each tokenised once, where that is worth it."""

from __future__ import annotations

import logging
from collections import ChainMap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Literal

import numpy as np

from recross.artefacts.opening import open_once
from recross.checkpoints.loaded import Tokenizer
from recross.collections.collection import Collection
from recross.inference.items import Items
from recross.inference.spans import Ints
from recross.inference.texts.digests import Digests
from recross.inference.texts.text_index import TextIndex
from recross.inference.texts.texts import GivenTexts, NamedTexts, NumberedTexts
from recross.inference.texts.token_file import open_token_file, write_token_file
from recross.inference.texts.token_ids import TokenIds
from recross.inference.texts.tokenizer_identity import digest_tokenizer
from recross.records import JsonObject
from recross.runs import Run
from recross.store import Store, read_manifest

logger = logging.getLogger(__name__)

KEPT_FROM = 5_000
"""Documents of the smallest collection whose tokens are kept; others are tokenised in seconds."""

LEAST_SHARE = 0.1
"""Share of the documents that must be asked for before all of them are tokenised."""

TextKind = Literal["documents", "queries"]
PARTS: tuple[TextKind, ...] = ("documents", "queries")


@dataclass(frozen=True)
class CollectionTexts:
    """Texts of a collection by their ids, with tokens that are kept in a store.

    All documents and queries are tokenised once for each tokenizer, when as many are asked for as
    make it worth while, or were before; else those asked for, as they come. Nothing is kept of
    small collections, and nothing without a store. ``expected`` documents will be asked for in all,
    where that is known.
    """

    collection: Collection
    store: Path | None = None
    expected: int = 0

    def documents(self, doc_ids: Sequence[str]) -> tuple[NumberedTexts, Ints]:
        """Distinct texts of documents, and which of them each of these documents has."""
        asked = max(self.expected, len(set(doc_ids)))
        return self._number("documents", self.collection.documents, doc_ids, asked)

    def queries(self, query_ids: Sequence[str]) -> tuple[NumberedTexts, Ints]:
        """Distinct texts of queries, and which of them each of these queries has.

        Those of a collection whose documents are kept are kept as well.
        """
        return self._number("queries", self.collection.queries, query_ids, 0)

    def pair(self, candidates: Run) -> Items:
        """Every query with each of its candidates, in the order of the run."""
        doc_ids = [doc.doc_id for ranking in candidates.rankings.values() for doc in ranking]
        documents, document_numbers = self.documents(doc_ids)
        queries, query_numbers = self.queries(list(candidates.rankings))
        sizes = [len(ranking) for ranking in candidates.rankings.values()]
        numbers = np.column_stack([np.repeat(query_numbers, sizes), document_numbers])
        return Items(queries, documents, numbers)

    def all_documents(self) -> NumberedTexts:
        """The texts of all documents, in the collection's order."""
        ids = list(self.collection.documents)
        kept = self._find_kept(len(ids))
        if kept is None:
            return NamedTexts(self.collection.documents, ids)
        return KeptTexts(kept, "documents", ids, np.arange(len(ids)))

    def neighbours(self, span: range) -> tuple[Sequence[str], NumberedTexts]:
        """Ids and texts of neighbouring documents, in the collection's order.

        Where their tokens are not kept they are tokenised alone, for whom all others are not.
        """
        ids = self._document_ids[span.start : span.stop]
        texts = self.collection.documents
        folder = None if self.store is None else _find(self.store, self.collection)
        if folder is None or self.store is None or not self._may_be_kept:
            return ids, NamedTexts(texts, ids)
        kept = KeptTokens(self.store, self.collection, folder, is_worth=False)
        return ids, KeptTexts(kept, "documents", ids, np.array(span))

    @cached_property
    def _document_ids(self) -> Sequence[str]:
        return list(self.collection.documents)

    def _number(
        self, part: TextKind, texts: Mapping[str, str], ids: Sequence[str], asked: int
    ) -> tuple[NumberedTexts, Ints]:
        kept = self._find_kept(asked)
        if kept is None:
            strings = [texts[name] for name in ids]
            number = {text: place for place, text in enumerate(dict.fromkeys(strings))}
            numbers = np.fromiter(map(number.__getitem__, strings), np.int64, len(strings))
            return GivenTexts(list(number)), numbers
        index = kept.index(part)
        rows, places, numbers = np.unique(
            index.fold(index.find_rows(ids)), return_index=True, return_inverse=True
        )
        order = np.argsort(places)  # as they come: kept or not, the batches are the same
        distinct = [ids[place] for place in places[order].tolist()]
        return KeptTexts(kept, part, distinct, rows[order]), np.argsort(order)[numbers]

    def _find_kept(self, asked: int) -> KeptTokens | None:
        """What is kept of the collection, if it is to be kept or was before."""
        if self.store is None or not self._may_be_kept:
            return None
        is_worth = asked >= LEAST_SHARE * len(self.collection.documents)
        folder = _find(self.store, self.collection)
        if folder is None and is_worth:
            folder = _keep(self.store, self.collection)
        return None if folder is None else KeptTokens(self.store, self.collection, folder, is_worth)

    @cached_property
    def _may_be_kept(self) -> bool:
        documents = self.collection.documents
        is_overlaid = isinstance(documents, ChainMap)  # texts of a training's own groups above
        return not is_overlaid and len(documents) >= KEPT_FROM


@dataclass(frozen=True)
class KeptTokens:
    """What a store keeps of one collection's texts: where each stands, and its tokens.

    ``is_worth``: so many are asked for that all are tokenised, where a tokenizer has not been here.
    """

    store: Path
    collection: Collection
    folder: Path
    is_worth: bool

    def index(self, part: TextKind) -> TextIndex:
        """Where documents or queries stand."""
        return open_once(_OPEN_INDEX[part], self.folder)

    def tokens(self, tokenizer: Tokenizer, part: TextKind) -> TokenIds | None:
        """The tokens of all documents or queries, made first if that is worth it; else none."""
        texts = self.collection.texts_fingerprint
        digest = digest_tokenizer(tokenizer)
        identity = {"tokenizer": digest, "texts": texts}
        if not self.is_worth and Store(self.store).find("token_ids", identity) is None:
            return None

        def make(folder: Path) -> JsonObject:
            documents, queries = self.collection.documents, self.collection.queries
            logger.info("tokenising %d documents once", len(documents))
            return {
                name: write_token_file(
                    folder / name,
                    (text for _, text in held.items()),
                    len(held),
                    tokenizer,
                    f"tokenising {name}",
                )
                for name, held in zip(PARTS, (documents, queries), strict=True)
            }

        folder = Store(self.store).artefact("token_ids", identity, make, resumable=True)
        return open_once(_OPEN_TOKENS[part], folder)


@dataclass(frozen=True)
class KeptTexts:
    """Some texts of a collection whose tokens are kept: the texts themselves are seldom read."""

    kept: KeptTokens
    part: TextKind
    ids: Sequence[str]
    rows: Ints

    def take(self, which: Ints) -> KeptTexts:
        """These of the texts, in this order."""
        ids = [self.ids[number] for number in which.tolist()]
        return KeptTexts(self.kept, self.part, ids, self.rows[which])

    def strings(self) -> Sequence[str]:
        """The texts themselves, read now."""
        collection = self.kept.collection
        texts = collection.documents if self.part == "documents" else collection.queries
        return [texts[name] for name in self.ids]

    def tokens(self, tokenizer: Tokenizer) -> TokenIds:
        """The tokens of each text alone, as they are kept, or of these few as they are read now."""
        kept = self.kept.tokens(tokenizer, self.part)
        if kept is None:
            return GivenTexts(self.strings()).tokens(tokenizer)
        return kept.take(self.rows)

    def digests(self) -> Digests:
        """A digest of each text, ``(N, 2)``, as it is kept."""
        return self.kept.index(self.part).digests[self.rows]

    def __len__(self) -> int:
        return len(self.rows)


def _find(store: Path, collection: Collection) -> Path | None:
    return Store(store).find("texts", _identify(collection))


def _keep(store: Path, collection: Collection) -> Path:
    def make(folder: Path) -> JsonObject:
        held = {"documents": collection.documents, "queries": collection.queries}
        return {
            part: TextIndex.write(folder / part, held[part], f"indexing {part}") for part in PARTS
        }

    return Store(store).artefact("texts", _identify(collection), make)


def _identify(collection: Collection) -> JsonObject:
    return {"texts": collection.texts_fingerprint}


def _open_index(folder: Path, part: TextKind) -> TextIndex:
    return TextIndex.open(folder / part, read_manifest(folder)[part])


def _open_tokens(folder: Path, part: TextKind) -> TokenIds:
    return open_token_file(folder / part, read_manifest(folder)[part])


_OPEN_INDEX = {part: partial(_open_index, part=part) for part in PARTS}
_OPEN_TOKENS = {part: partial(_open_tokens, part=part) for part in PARTS}
