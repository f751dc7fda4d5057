"""The one place where a model is called to score: a whole run at a time."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from tqdm import tqdm

from recross.collections.collection import Collection
from recross.inference.batch_size import batch_size
from recross.inference.batches import PackedBatch, token_budget
from recross.inference.cache.identity import scorer_name
from recross.inference.cache.score_cache import ScoreCache
from recross.inference.cache.score_keys import Texts
from recross.inference.devices import Lanes
from recross.inference.network import Forward, Network
from recross.inference.tokens import Sequences
from recross.machine.hardware import Hardware, is_out_of_memory
from recross.records import Cost
from recross.runs import Run

Scores = npt.NDArray[np.float32]
Scored = tuple[npt.NDArray[np.int64], Scores]
"""Numbers of sequences, and their scores."""

SECONDS_BETWEEN_WRITES = 5.0
"""To the score cache: what an interruption loses at most."""

ITEMS_AT_ONCE = 50_000
"""Items tokenised and sorted together; bounds memory, large enough for full batches."""


class _Part(NamedTuple):
    """Items that are sorted together, ready for the network."""

    items: Sequence[Texts]
    distinct: list[Texts]
    known: Scores  # NaN where the network is asked
    asked: npt.NDArray[np.int64]  # numbers of distinct items
    sequences: Sequences  # of the asked
    tokenize_seconds: float


class Engine:
    """Scores texts together with one network on one hardware target.

    An item is a pair of query and document, or a query with the two documents to compare. Items are
    flattened over queries, duplicates scored once, each text tokenised once, sequences sorted by
    length into batches of at most ``hardware.tokens_per_batch`` tokens; a batch that does not fit
    in memory is halved, and so is every later one of its size; several devices share the batches;
    scores come back in the order of the input. What the ``cache`` knows is not computed, and what
    is computed is kept there every few seconds, so that an interrupted run loses little.
    """

    def __init__(
        self, network: Network, hardware: Hardware, cache: ScoreCache | None = None
    ) -> None:
        hardware.prepare()
        self._network = network
        self._hardware = hardware
        self._cache = cache if cache is not None and cache.enabled else None
        self._scorer = scorer_name(network, hardware) if self._cache is not None else ""
        self._lanes = Lanes(network, hardware)
        self._size = batch_size(hardware)

    def score(
        self, items: Sequence[Texts], description: str = "", show_progress: bool = False
    ) -> tuple[Scores, Cost]:
        """Score items of texts; ``(B,)``, higher is more relevant."""
        scores, cost = [np.empty(0, dtype=np.float32)], Cost()
        with _progress(len(items), description, show_progress) as bar:
            for part in self._prepared(items):
                found, spent = self._score_part(part, bar)
                scores.append(found)
                cost += spent
        return np.concatenate(scores), cost

    def rescore(self, candidates: Run, collection: Collection, name: str) -> Run:
        """Replace every score of a run by the network's."""
        start = time.perf_counter()
        pairs = [
            (collection.queries[query_id], collection.documents[doc.doc_id])
            for query_id, ranking in candidates.rankings.items()
            for doc in ranking
        ]
        scores, cost = self.score(pairs, name, show_progress=len(candidates) > 1)
        values = iter(scores.tolist())
        ranked = {
            query_id: {doc.doc_id: next(values) for doc in ranking}
            for query_id, ranking in candidates.rankings.items()
        }
        seconds = time.perf_counter() - start
        return Run.from_scores(name, ranked, replace(cost, total_seconds=seconds))

    def _prepared(self, items: Sequence[Texts]) -> Iterator[_Part]:
        """Parts of the items; each is tokenised while the one before it is scored."""
        if len(items) <= ITEMS_AT_ONCE:
            if items:
                yield self._prepare(items)
            return
        with ThreadPoolExecutor(max_workers=1) as beside:
            ready: Future[_Part] | None = None
            for start in range(0, len(items), ITEMS_AT_ONCE):
                part = items[start : start + ITEMS_AT_ONCE]
                own = copy_context()  # whether caches are off is known there too
                following = beside.submit(own.run, self._prepare, part)
                if ready is not None:
                    yield ready.result()
                ready = following
            if ready is not None:
                yield ready.result()

    def _prepare(self, items: Sequence[Texts]) -> _Part:
        start = time.perf_counter()
        distinct = list(dict.fromkeys(items))
        known = self._known(distinct)
        asked = np.flatnonzero(np.isnan(known))
        sequences = self._encode([distinct[number] for number in asked])
        return _Part(items, distinct, known, asked, sequences, time.perf_counter() - start)

    def _score_part(self, part: _Part, bar: tqdm) -> tuple[Scores, Cost]:
        start = time.perf_counter()
        own, new = part.known, [part.distinct[number] for number in part.asked]
        bar.update(len(part.items) - len(new))
        batches = 0
        for rows, scores in self._batches(part.sequences, new):
            own[part.asked[rows]] = scores
            batches += 1
            bar.update(len(rows))
        place = {item: number for number, item in enumerate(part.distinct)}
        cached = self._cache is not None and self._cache.is_on
        cost = Cost(
            pairs=len(part.items),
            tokens=int(part.sequences.offsets[-1]),
            forward_passes=len(new),
            batches=batches,
            tokenize_seconds=part.tokenize_seconds,
            forward_seconds=time.perf_counter() - start,
            cut_queries=part.sequences.cut_queries,
            cut_documents=part.sequences.cut_documents,
            cut_tokens=part.sequences.cut_tokens,
            cache_hits=len(part.distinct) - len(new) if cached else 0,
            cache_misses=len(new) if cached else 0,
        )
        return own[[place[item] for item in part.items]], cost

    def _known(self, items: Sequence[Texts]) -> Scores:
        """Scores that are kept already, NaN where there is none."""
        if self._cache is None:
            return np.full(len(items), np.nan, dtype=np.float32)
        return self._cache.read(self._scorer, items)

    def _encode(self, items: Sequence[Texts]) -> Sequences:
        queries = _numbered(query for query, *_ in items)
        texts = _numbered(text for _, *documents in items for text in documents)
        numbered = [(queries[query], *(texts[t] for t in documents)) for query, *documents in items]
        return self._network.encode(list(queries), list(texts), numbered)

    @torch.inference_mode()
    def _batches(self, sequences: Sequences, items: Sequence[Texts]) -> Iterator[Scored]:
        """Numbers of sequences and their scores, batch by batch, checked and kept."""
        waiting: list[Scored] = []
        kept = time.perf_counter()

        def work(forward: Forward, which: npt.NDArray[np.int64]) -> list[Scored]:
            return list(self._fitting(forward, sequences, which))

        batches = token_budget(sequences.lengths, self._size)
        for scored in self._lanes.each(work, batches):
            for rows, scores in scored:
                self._refuse_nan(scores, [items[row] for row in rows])
                waiting.append((rows, scores))
                yield rows, scores
            if time.perf_counter() - kept > SECONDS_BETWEEN_WRITES:
                self._keep(waiting, items)
                waiting, kept = [], time.perf_counter()
        self._keep(waiting, items)

    def _keep(self, scored: Sequence[Scored], items: Sequence[Texts]) -> None:
        if self._cache is None or not scored:
            return
        rows = np.concatenate([rows for rows, _ in scored])
        scores = np.concatenate([scores for _, scores in scored])
        self._cache.write(self._scorer, [items[row] for row in rows], scores)

    def _fitting(
        self, forward: Forward, sequences: Sequences, which: npt.NDArray[np.int64]
    ) -> Iterator[Scored]:
        scores = self._attempt(forward, sequences, which)
        if scores is not None:
            yield which, scores
            return
        # Not where the error was caught: it would keep what the failed attempt had allocated.
        torch.cuda.empty_cache()
        for half in np.array_split(which, 2):
            yield from self._fitting(forward, sequences, half)

    def _attempt(
        self, forward: Forward, sequences: Sequences, which: npt.NDArray[np.int64]
    ) -> Scores | None:
        """Score a batch; ``None`` where it does not fit in memory and can be halved."""
        tokens = int(sequences.lengths[which].sum())
        divisible = len(which) > 1
        if divisible and tokens >= self._size.too_many:
            return None
        start = time.perf_counter()
        try:
            batch = PackedBatch.of(sequences.take(which), self._hardware.device)
            scores: Scores = forward(batch).float().cpu().numpy()
        except (RuntimeError, MemoryError) as error:
            if not divisible or not is_out_of_memory(error):
                raise
            self._size.does_not_fit(tokens)
            return None
        self._size.took(tokens, time.perf_counter() - start)
        return scores

    def _refuse_nan(self, scores: Scores, items: Sequence[Texts]) -> None:
        bad = np.flatnonzero(~np.isfinite(scores))
        if len(bad):
            query, *documents = items[bad[0]]
            read = " and ".join(f"the document {text[:80]!r}" for text in documents)
            raise FloatingPointError(
                f"score must be finite, got {scores[bad[0]]} for the query {query[:80]!r}"
                f" and {read} ({len(bad)} such pairs)"
            )


def _numbered(texts: Iterable[str]) -> dict[str, int]:
    return {text: number for number, text in enumerate(dict.fromkeys(texts))}


def _progress(total: int, description: str, show: bool) -> tqdm:
    shown = show and sys.stderr.isatty()  # a log file wants lines, not a bar
    return tqdm(total=total, desc=description, unit="pair", disable=not shown, leave=False)
