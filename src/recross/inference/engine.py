"""The one place where a network scores texts: all items of a run at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from recross.inference.batches import NetworkBatch
from recross.inference.cache.identity import name_scorer
from recross.inference.cache.kept_scores import KeptScores
from recross.inference.items import Portion, Scores, TextItem, number_texts
from recross.inference.network import Network
from recross.inference.progress import progress
from recross.inference.runner import Runner
from recross.inference.sequences import Encoded
from recross.inference.session import Session
from recross.records import Cost

_Batch = TypeVar("_Batch", bound=NetworkBatch)

ITEMS_AT_ONCE = 50_000
"""Items tokenised and sorted together; bounds memory, large enough for full batches."""


@dataclass(frozen=True)
class Engine:
    """Scores texts with one network in one session, with its weights as at the first call.

    An item is a pair of query and document, or a query with the two documents to compare. Items are
    flattened over queries, duplicates are scored once, each text is tokenised once, and scores come
    back in the order of the input. What the session's cache knows is not computed, and what is
    computed is kept there every few seconds, so that an interrupted run loses little.
    """

    network: Network
    session: Session

    def score(
        self, items: Sequence[TextItem], description: str = "", show_progress: bool = False
    ) -> tuple[Scores, Cost]:
        """Score items of texts; ``(B,)``, higher is more relevant.

        Raises:
            FloatingPointError: a score is not finite.
        """
        runner, kept = self._runner, self._kept  # both of the same weights
        scores, cost = [np.empty(0, dtype=np.float32)], Cost()
        with progress(len(items), description, "pair", shown=show_progress) as bar:
            for portion in self._portions(items):
                start, batches = time.perf_counter(), 0
                bar.update(len(portion.items) - len(portion.unknown))
                for rows, values in runner.run(portion.encoded):
                    scored = portion.unknown_items(rows)
                    _refuse_nan(values, scored)
                    kept.add(scored, values)
                    portion.fill(rows, values)
                    batches += 1
                    bar.update(len(rows))
                kept.write()
                scores.append(portion.scores_in_order())
                cost += portion.cost(batches, time.perf_counter() - start, kept.is_on)
        return np.concatenate(scores), cost

    def _portions(self, items: Sequence[TextItem]) -> Iterator[Portion]:
        """The items in portions; each is tokenised while the one before it is scored."""
        if len(items) <= ITEMS_AT_ONCE:
            if items:
                yield self._prepare(items)
            return
        with ThreadPoolExecutor(max_workers=1) as beside:
            ready: Future[Portion] | None = None
            for start in range(0, len(items), ITEMS_AT_ONCE):
                some = items[start : start + ITEMS_AT_ONCE]
                context = copy_context()  # whether caches are off is known there too
                following = beside.submit(context.run, self._prepare, some)
                if ready is not None:
                    yield ready.result()
                ready = following
            if ready is not None:
                yield ready.result()

    def _prepare(self, items: Sequence[TextItem]) -> Portion:
        start = time.perf_counter()
        distinct = list(dict.fromkeys(items))
        scores = self._kept.read(distinct)
        unknown = np.flatnonzero(np.isnan(scores))
        texts = number_texts([distinct[number] for number in unknown])
        encoded = self.network.encode(*texts)
        seconds = time.perf_counter() - start
        return Portion(items, distinct, scores, unknown, encoded, seconds)

    @cached_property
    def _runner(self) -> Runner[Encoded[NetworkBatch], Scores]:
        return Runner(self.session.hardware, self.network, self._scoring_on_one_device)

    @cached_property
    def _kept(self) -> KeptScores:
        cache = self.session.cache
        if cache is None or not cache.enabled:
            return KeptScores(None, "")
        return KeptScores(cache, name_scorer(self.network, self.session.hardware))

    def _scoring_on_one_device(self, network: Network) -> partial[Scores]:
        return partial(_score_batch, network.inference(self.session), self.session.hardware.device)


def _score_batch(
    forward: Callable[[_Batch], Tensor], device: torch.device, items: Encoded[_Batch]
) -> Scores:
    scores: Scores = forward(items.on(device)).float().cpu().numpy()
    return scores


def _refuse_nan(scores: Scores, items: Sequence[TextItem]) -> None:
    bad = np.flatnonzero(~np.isfinite(scores))
    if len(bad):
        query, *documents = items[bad[0]]
        read = " and ".join(f"the document {text[:80]!r}" for text in documents)
        raise FloatingPointError(
            f"score must be finite, got {scores[bad[0]]} for the query {query[:80]!r}"
            f" and {read} ({len(bad)} such pairs)"
        )
