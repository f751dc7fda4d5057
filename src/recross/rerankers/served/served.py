"""A re-ranker whose scores come over HTTP from a server that runs any model.

Whatever the model needs, code of its own included, stays where it is served.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Annotated

import numpy as np

from recross.collections.collection import Collection
from recross.inference.cache.kept_scores import KeptScores
from recross.inference.cache.score_cache import ScoreCache
from recross.inference.items import Scores
from recross.parts.bounds import Ge, checked
from recross.parts.identity import fingerprint, handed_over
from recross.records import Cost, JsonObject
from recross.rerankers.remote.asking import ask_all
from recross.rerankers.remote.json_server import JsonServer, check_address
from recross.rerankers.remote.patience import Patience
from recross.rerankers.reranker import Reranker
from recross.rerankers.served.budget import RunBudget
from recross.rerankers.served.dialects import Asked, Dialect
from recross.rerankers.served.kept_chunks import Chunk, KeptChunks
from recross.rerankers.served.score_server import Scored, ScoreServer
from recross.rerankers.text_ranking import TextRanker, check_documents
from recross.runs import Run
from recross.writing.progress import progress

KEPT_FORM = 1
"""Raised when what is asked of a server, or kept of its answers, changes."""


@dataclass(frozen=True)
@checked
class ServedReranker(Reranker, TextRanker):
    """The scores of a ``model`` behind a server, ``max_concurrent`` requests at a time.

    A request holds one query and at most ``documents_per_request`` documents, in the form that the
    ``dialect`` says, with ``extra_body`` beside. An answer that is not one finite score for each
    document is an error, and nothing is scored.

    Scores are kept in the ``cache`` as they come, by model, dialect, ``extra_body``, what the
    server says of itself, and ``version``, which names what it does not say: so an interrupted run
    goes on. With ``reads_together`` the model reads the documents of a request together
    (jina-reranker-v3), and a score is that of a document in its request.

    ``request_budget`` and ``pair_budget`` bound what this object may send; what would pass them is
    refused before anything is sent, retries aside. The API key is read from the environment
    variable ``api_key_variable`` when first asked, and kept nowhere.
    """

    is_served = True

    base_url: str = field(compare=False)
    model: str
    dialect: Dialect
    version: str = ""
    extra_body: JsonObject = field(default_factory=dict)
    documents_per_request: Annotated[int, Ge(1)] = 32
    reads_together: bool = False
    api_key_variable: str | None = field(default=None, compare=False)
    patience: Patience = field(default=Patience(), compare=False)
    max_concurrent: Annotated[int, Ge(1)] = field(default=8, compare=False)
    request_budget: Annotated[int, Ge(1)] | None = field(default=None, compare=False)
    pair_budget: Annotated[int, Ge(1)] | None = field(default=None, compare=False)
    alias: str | None = field(default=None, compare=False)
    cache: ScoreCache | None = handed_over(None)

    def __post_init__(self) -> None:
        check_address(self.base_url)

    @property
    def name(self) -> str:
        """A short name for runs and tables: the alias, or the model's without its organisation."""
        return self.alias or self.model.rpartition("/")[2]

    @property
    def base_checkpoint(self) -> str:
        """The model, as the server calls it."""
        return self.model

    def check(self) -> None:
        """Read the key, and look for what asks; nothing is asked."""
        _ = self.server

    def introduce_servers(self) -> JsonObject:
        """What the server says of itself, once asked: checkpoint, revision, version."""
        return {self.model: self._introduction}

    def score(self, query: str, documents: Sequence[str]) -> Scores:
        """Score one query's documents, ``(N,)``; higher is more relevant."""
        check_documents(documents)
        return self.predict([(query, document) for document in documents])

    def predict(self, pairs: Sequence[tuple[str, str]]) -> Scores:
        """Score (query, document) pairs, ``(B,)``."""
        scores: dict[str, dict[str, float]] = {}
        for number, (query, _) in enumerate(pairs):
            scores.setdefault(query, {})[str(number)] = float(-number)
        documents = {str(number): document for number, (_, document) in enumerate(pairs)}
        queries = {query: query for query in scores}
        texts = Collection("pairs", documents, queries, {}, {}, fingerprint(list(pairs)))
        run = self.rerank(Run.from_scores("pairs", scores), texts)
        found = {doc.doc_id: doc.score for ranking in run.rankings.values() for doc in ranking}
        return np.array([found[number] for number in documents], dtype=np.float32)

    def rerank(self, candidates: Run, collection: Collection) -> Run:
        """Order every query's candidates by the server's scores.

        Raises:
            InputError: a budget does not cover what is not kept.
            EndpointError: the server gave no answer, or a wrong one; what it had scored is kept.
        """
        start = time.perf_counter()
        store = KeptScores(self.cache, self._scorer)
        kept = KeptChunks(store, self._scorer, self.documents_per_request, self.reads_together)
        scores: dict[str, dict[str, float]] = {}
        unknown: list[Chunk] = []
        for query_id in candidates.rankings:
            texts = {doc: collection.documents[doc] for doc in candidates.doc_ids(query_id)}
            known, chunks = kept.read(query_id, collection.queries[query_id], texts)
            scores[query_id] = known
            unknown += chunks
        pairs, asked = sum(map(len, candidates.rankings.values())), _count(unknown)
        self._budget.spend(requests=len(unknown), pairs=asked)
        spent, asking = Cost(), time.perf_counter()
        with progress(asked, self.name, "pair") as bar, store.writing_at_last():
            for chunk, scored in self._ask_all(unknown, collection, kept):
                found = zip(chunk.doc_ids, scored.scores.tolist(), strict=True)
                scores[chunk.query_id] |= dict(found)
                spent += Cost(requests=1, tokens=scored.tokens, retries=scored.retries)
                bar.update(len(chunk.doc_ids))
        finished = time.perf_counter()
        store.say_damaged(kept.damaged)
        cost = replace(
            spent,
            pairs=pairs,
            forward_passes=asked,
            forward_seconds=finished - asking,
            total_seconds=finished - start,
            cache_hits=pairs - asked,
            cache_misses=asked if kept.is_on else 0,
            cache_damaged=kept.damaged,
        )
        return Run.from_scores(self.name, scores, cost)

    def _ask_all(
        self, chunks: Iterable[Chunk], collection: Collection, kept: KeptChunks
    ) -> Iterator[tuple[Chunk, Scored]]:
        """Ask for all chunks, whose texts are read as they are sent, and keep what is answered."""

        def add_texts(chunk: Chunk) -> tuple[Chunk, Asked]:
            texts = tuple(collection.documents[doc_id] for doc_id in chunk.doc_ids)
            return chunk, Asked(collection.queries[chunk.query_id], texts)

        def ask(request: tuple[Chunk, Asked], stop: threading.Event) -> tuple[Chunk, Scored]:
            chunk, asked = request
            scored = server.score(asked, stop)
            kept.add(asked, scored.scores)
            return chunk, scored

        server = self.server  # made once, not by several threads
        yield from ask_all(map(add_texts, chunks), ask, self.max_concurrent)

    @cached_property
    def server(self) -> ScoreServer:
        """The model's server; connections are kept from call to call."""
        connection = JsonServer(self.base_url, self.api_key_variable, self.patience)
        return ScoreServer(connection, self.dialect, self.model, self.extra_body)

    @cached_property
    def _introduction(self) -> JsonObject:
        return self.server.introduce()

    @cached_property
    def _budget(self) -> RunBudget:
        return RunBudget(self.request_budget, self.pair_budget)

    @cached_property
    def _scorer(self) -> str:
        """What the scores are kept under; the server is asked who it is only if any are."""
        if self.cache is None or not self.cache.enabled:
            return ""
        told = (self.model, self.dialect, self.extra_body, self.version, self.reads_together)
        return f"served {self.name} {fingerprint(KEPT_FORM, *told, self._introduction)}"


def _count(chunks: Sequence[Chunk]) -> int:
    return sum(len(chunk.doc_ids) for chunk in chunks)
