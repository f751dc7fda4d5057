"""A test collection: texts by identifier, and judgments by split."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Protocol, TypeVar, cast, runtime_checkable

from recross.errors import InputError
from recross.parts.closest import suggest
from recross.parts.identity import fingerprint
from recross.records import Excluded, Qrels, relevant_documents

_PerSplit = TypeVar("_PerSplit")


class Texts(NamedTuple):
    """Texts of queries and of documents by identifier; one ``fingerprint``, the same texts."""

    fingerprint: str
    queries: Mapping[str, str]
    documents: Mapping[str, str]


@dataclass(frozen=True)
class Collection:
    """Texts and judgments; ``documents`` may be a lazy view on a store on disk.

    ``split_queries`` names the queries of each split, in a fixed order; a query may have no
    judgments. ``relevant_from`` is the smallest grade that counts as relevant for binary measures
    and as positive in training, of all splits or by split, where it is 1 for those not named (2 in
    the TREC Deep Learning tracks, whose systems learn from judgments of grade 1). Two collections
    with one ``fingerprint`` hold the same texts and judgments, of one ``texts_fingerprint`` the
    texts alone. ``instructions`` say of some queries what is wanted, to re-rankers that are told.
    ``excluded`` documents are left out of what is retrieved, re-ranked and learned from for their
    query.
    """

    name: str
    documents: Mapping[str, str]
    queries: Mapping[str, str]
    split_queries: Mapping[str, Sequence[str]]
    split_qrels: Mapping[str, Qrels]
    fingerprint: str
    relevant_from: int | Mapping[str, int] = 1
    texts: str | None = None
    instructions: Mapping[str, str] = field(default_factory=dict)
    excluded: Excluded = field(default_factory=dict)

    def __post_init__(self) -> None:
        if isinstance(self.relevant_from, int):
            return
        known = self.split_queries.keys() | self.split_qrels.keys()
        if unknown := sorted(self.relevant_from.keys() - known):
            raise InputError(
                f"relevant_from must name splits of {', '.join(self.split_queries)},"
                f" got {unknown[0]!r}"
            )

    @property
    def texts_fingerprint(self) -> str:
        """``texts`` where it is given, for collections that share them; else the fingerprint."""
        return self.texts or self.fingerprint

    def query_ids(self, split: str) -> Sequence[str]:
        """Return the identifiers of a split's queries."""
        return self._of(self.split_queries, split)

    def qrels(self, split: str) -> Qrels:
        """Return a split's judgments: query_id -> doc_id -> relevance."""
        return self._of(self.split_qrels, split)

    def judged(self, split: str) -> Qrels:
        """The judgments of a split's own queries, over which measures are averaged.

        Raises:
            InputError: none of its queries is judged.
        """
        asked, qrels = frozenset(self.query_ids(split)), self.qrels(split)
        judged = {query_id: docs for query_id, docs in qrels.items() if query_id in asked}
        if not judged:
            raise InputError(
                f"split {split!r} of {self.name!r} must hold judged queries, got {len(asked)}"
                f" queries and judgments of {len(qrels)} others"
            )
        return judged

    def relevant_grade(self, split: str) -> int:
        """The smallest grade that counts as relevant in a split."""
        match self.relevant_from:
            case int(grade):
                return grade
            case by_split:
                return by_split.get(split, 1)

    def relevant(self, split: str, query_id: str) -> frozenset[str]:
        """Relevant documents of one query."""
        return relevant_documents(self.qrels(split).get(query_id, {}), self.relevant_grade(split))

    def excluding(self, excluded: Excluded) -> Collection:
        """The same texts and judgments, with these documents excluded for their queries.

        Raises:
            InputError: a query is unknown; a document may be.
        """
        if unknown := sorted(excluded.keys() - self.queries.keys()):
            raise InputError(
                f"excluded documents must be those of queries of {self.name!r}, got {unknown[0]!r}"
                f" ({len(unknown)} unknown of {len(excluded)})"
            )
        return replace(
            self,
            excluded=excluded,
            fingerprint=f"{self.fingerprint}, excluded {fingerprint(excluded)}",
            texts=self.texts_fingerprint,
        )

    def with_texts(self, texts: Texts) -> Collection:
        """The same collection, which looks a text up among these first."""
        queries, documents = cast(Any, (self.queries, self.documents))  # only ever read
        return replace(
            self,
            queries=ChainMap(cast(Any, texts.queries), queries),
            documents=ChainMap(cast(Any, texts.documents), documents),
            fingerprint=f"{self.fingerprint}+{texts.fingerprint}",
            texts=f"{self.texts_fingerprint}+{texts.fingerprint}",
        )

    def _of(self, splits: Mapping[str, _PerSplit], split: str) -> _PerSplit:
        if split not in splits:
            raise InputError(
                f"collection {self.name!r} has the splits {', '.join(splits)}, got {split!r}"
                f"{suggest(split, splits)}"
            )
        return splits[split]


@runtime_checkable
class CollectionSource(Protocol):
    """Something that can load a collection; building it costs nothing."""

    def load(self) -> Collection:
        """Load, or make, the collection."""


@runtime_checkable
class KnowsSplits(Protocol):
    """A source that can say which splits its collection will have, without loading it."""

    def list_splits(self) -> Sequence[str] | None:
        """Their names; ``None`` where it cannot say."""


def find_splits(source: CollectionSource) -> Sequence[str] | None:
    """The splits that a source says its collection will have; ``None`` where it cannot say."""
    return source.list_splits() if isinstance(source, KnowsSplits) else None
