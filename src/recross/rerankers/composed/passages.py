"""Long documents: split into passages, each scored by any re-ranker, the scores pooled."""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

from recross.collections.collection import Collection
from recross.errors import InputError
from recross.parts.bounds import Ge, UpTo, checked
from recross.parts.identity import fingerprint
from recross.rerankers.reranker import Reranker, Trainable, is_trainable
from recross.runs import Run
from recross.sharing.work import SharedWork

if TYPE_CHECKING:
    from recross.inference.engine import Engine
    from recross.inference.network import Network

WORD = re.compile(r"\S+")
SEPARATOR = "#"
"""Between a document's identifier and a passage's number; the last one counts, so that
identifiers may hold it themselves."""


@dataclass(frozen=True)
@checked
class LongDocuments(Trainable):
    """Scores the passages of each document and pools their scores (Dai & Callan 2019).

    Passages are windows of ``words`` words, one every ``stride`` words, of which the first
    ``max_passages`` are read (``None``: all). ``pooling`` is ``max`` (MaxP: the best passage),
    ``first`` (FirstP: only the first passage is scored at all) or ``mean_top`` (mean of the best
    ``top`` passages, or of all where there are fewer). A document of one passage is scored as it
    is. In the paper 150 words with stride 75, and at most 30 passages a document.

    Training is that of the inner network, on whole documents that its own token limit cuts: FirstP
    training; validation ranks as here, by pooled scores. Over a re-ranker that has no network there
    is nothing to train.
    """

    reranker: Reranker
    words: Annotated[int, Ge(1)] = 150
    stride: Annotated[int, Ge(1), UpTo("words")] = 75
    pooling: Literal["max", "first", "mean_top"] = "max"
    top: Annotated[int, Ge(1)] = 3
    max_passages: Annotated[int, Ge(1)] | None = 30
    alias: str | None = field(default=None, compare=False)

    @property
    def parts(self) -> tuple[Reranker, ...]:
        """The re-ranker that scores the passages."""
        return (self.reranker,)

    def rerank(self, candidates: Run, collection: Collection) -> Run:
        """Order every query's candidates by the pooled scores of their passages.

        The cost is that of the passages: ``pairs`` says how many were scored, and a document
        whose last words are in no passage counts among ``cut_documents``.
        """
        return self._pooled(self.reranker.rerank, candidates, collection)

    def document_parts(self, collection: Collection) -> Sequence[SharedWork]:
        """Nothing: what is scored is passages of the candidates, not the collection's documents."""
        return ()

    @property
    def can_be_trained(self) -> bool:
        """Whether the re-ranker that scores the passages can be trained."""
        return self.reranker.can_be_trained

    @property
    def network(self) -> Network:
        """The network of the re-ranker that scores the passages."""
        return self._trainable.network

    def trained(self, folder: Path) -> Self:
        """The same over the inner re-ranker with the weights of a folder."""
        return replace(self, reranker=self._trainable.trained(folder))

    def rerank_with(self, engine: Engine, candidates: Run, collection: Collection) -> Run:
        """Re-rank through an engine of the inner network, in the middle of training."""
        return self._pooled(partial(self._trainable.rerank_with, engine), candidates, collection)

    @property
    def _trainable(self) -> Trainable:
        if not is_trainable(self.reranker):
            kind = type(self.reranker).__name__
            raise InputError(f"reranker must have a network to train, got {kind}")
        return self.reranker

    def _pooled(
        self, score: Callable[[Run, Collection], Run], candidates: Run, collection: Collection
    ) -> Run:
        start = time.perf_counter()
        distinct = dict.fromkeys(d.doc_id for r in candidates.rankings.values() for d in r)
        windows = {d: self._windows(collection.documents[d]) for d in distinct}
        limit = 1 if self.pooling == "first" else self.max_passages
        read = {doc_id: passages[:limit] for doc_id, passages in windows.items()}
        scored = score(_passage_run(candidates, read), self._collection(collection, read))
        cut = sum(
            len(windows[doc.doc_id]) > len(read[doc.doc_id])
            for ranking in candidates.rankings.values()
            for doc in ranking
        )
        pooled = {query_id: self._pool(scored, query_id) for query_id in candidates.rankings}
        cost = replace(
            scored.cost,
            cut_documents=scored.cost.cut_documents + cut,
            total_seconds=time.perf_counter() - start,
        )
        return Run.from_scores(self.alias or f"{scored.name}-{self.pooling}", pooled, cost)

    def _windows(self, document: str) -> list[str]:
        """Windows up to the first that reaches the last word; spaces within are the document's."""
        spans = [word.span() for word in WORD.finditer(document)]
        if len(spans) <= self.words:
            return [document]
        starts = range(0, len(spans) - self.words + self.stride, self.stride)
        within = [spans[start : start + self.words] for start in starts]
        return [document[window[0][0] : window[-1][1]] for window in within]

    def _pool(self, scored: Run, query_id: str) -> dict[str, float]:
        passage_scores: dict[str, list[float]] = {}  # of each document, best first as in the run
        for passage_id, score in scored.rankings[query_id]:
            passage_scores.setdefault(passage_id.rpartition(SEPARATOR)[0], []).append(score)
        top = self.top if self.pooling == "mean_top" else 1
        return {doc_id: statistics.fmean(of_doc[:top]) for doc_id, of_doc in passage_scores.items()}

    def _collection(self, collection: Collection, read: Mapping[str, Sequence[str]]) -> Collection:
        """Passages instead of documents; judgments are of documents, so there are none."""
        texts = {
            _passage_id(doc_id, number): text
            for doc_id, passages in read.items()
            for number, text in enumerate(passages)
        }
        identity = (collection.texts_fingerprint, self.words, self.stride, sorted(texts))
        return replace(
            collection, documents=texts, split_qrels={}, fingerprint=fingerprint(*identity)
        )


def _passage_run(candidates: Run, read: Mapping[str, Sequence[str]]) -> Run:
    """Every candidate's passages, each with the score of its document."""
    scores = {
        query_id: {
            _passage_id(doc.doc_id, number): doc.score
            for doc in ranking
            for number in range(len(read[doc.doc_id]))
        }
        for query_id, ranking in candidates.rankings.items()
    }
    return Run.from_scores(candidates.name, scores)


def _passage_id(doc_id: str, number: int) -> str:
    return f"{doc_id}{SEPARATOR}{number}"
