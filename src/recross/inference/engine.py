"""The one place where a network scores texts: all items of a run at a time."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import accumulate, chain, pairwise, repeat
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from recross.collections.collection import Collection
from recross.inference.arrival import bring_back
from recross.inference.batches import NetworkBatch
from recross.inference.cache.identity import name_scorer
from recross.inference.cache.kept_scores import KeptScores
from recross.inference.items import Items, Portion, Scores
from recross.inference.network import Network
from recross.inference.runner import Runner
from recross.inference.sequences import Encoded
from recross.inference.session import Session
from recross.inference.texts.collection_texts import CollectionTexts
from recross.inference.texts.texts import TextItem
from recross.inference.untrained import Untrained, refuse_untrained
from recross.records import Cost
from recross.writing.progress import progress

_Batch = TypeVar("_Batch", bound=NetworkBatch)

ITEMS_AT_ONCE = 50_000
"""Items tokenised and sorted together; bounds memory, large enough for full batches."""

FIRST_ON_GPU, ITEMS_ON_GPU = 2_048, 16_384
"""The same on a GPU, which does in a second what a processor does in an hour.

Packed attention asks for no equal lengths, so that smaller portions cost it half a batch each.
"""

PORTIONS_AHEAD = 2
"""Portions made ready before they are asked for."""


@dataclass(frozen=True)
class Engine:
    """Scores texts with one network in one session, with its weights as at the first call.

    An item is a pair of query and document, or a query with the two documents to compare. Items are
    flattened over queries, duplicates are scored once, each text is tokenised once, and scores come
    back in the order of the input. What the session's cache knows is not computed, but its tokens
    and what was cut are counted all the same; what is computed is kept there every few seconds, so
    that an interrupted run loses little. In the middle of training, the head that was drawn may
    score: ``untrained`` allows it.
    """

    network: Network
    session: Session
    untrained: Untrained = "refuse"

    def score(
        self, items: Sequence[TextItem], description: str = "", show_progress: bool = False
    ) -> tuple[Scores, Cost]:
        """Score items of texts; ``(B,)``, higher is more relevant.

        Raises:
            FloatingPointError: a score is not finite.
        """
        return self.score_items(Items.of(items), description, show_progress)

    def score_items(
        self, items: Items, description: str = "", show_progress: bool = False
    ) -> tuple[Scores, Cost]:
        """Score items of numbered texts; ``(B,)``, higher is more relevant.

        Raises:
            FloatingPointError: a score is not finite.
            InputError: the network's head was drawn, and not trained.
        """
        if self.untrained == "refuse":
            refuse_untrained(self.network)
        runner, kept = self._runner, self._kept  # both of the same weights
        scores, cost = [np.empty(0, dtype=np.float32)], Cost()
        with (
            progress(len(items), description, "pair", shown=show_progress) as bar,
            kept.writing_at_last(),
        ):
            for portion in self._portions(items):
                start, batches = time.perf_counter(), 0
                bar.update(len(portion.which) - len(portion.unknown))
                for rows, values in runner.run(portion.asked):
                    portion.fill(rows, values)
                    kept.add(portion.keys_of(rows), values)
                    batches += 1
                    bar.update(len(rows))
                scores.append(portion.scores_in_order())
                cost += portion.cost(batches, time.perf_counter() - start, kept.is_on)
        kept.say_damaged(cost.cache_damaged)
        return np.concatenate(scores), cost

    def texts_of(self, collection: Collection) -> CollectionTexts:
        """The texts of a collection, whose tokens the session's store keeps."""
        return CollectionTexts(collection, self.session.store)

    def _portions(self, items: Items) -> Iterator[Portion]:
        """The items in portions; each is made ready while those before it are scored."""
        sizes = self._sizes()
        if len(items) <= (first := next(sizes)):
            if len(items):
                yield self._prepare(items)
            return
        with ThreadPoolExecutor(max_workers=1) as beside:
            waiting: deque[Future[Portion]] = deque()
            for start, stop in pairwise(accumulate(chain([0, first], sizes))):
                some = items.take(slice(start, stop))
                if not len(some):
                    break
                context = copy_context()  # whether caches are off is known there too
                waiting.append(beside.submit(context.run, self._prepare, some))
                if len(waiting) > PORTIONS_AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def _sizes(self) -> Iterator[int]:
        """Items of the portions that follow each other: on a GPU few at first, for it waits."""
        if self.session.hardware.accelerator == "gpu":
            yield FIRST_ON_GPU
            yield from repeat(ITEMS_ON_GPU)
        yield from repeat(ITEMS_AT_ONCE)

    def _prepare(self, items: Items) -> Portion:
        start = time.perf_counter()
        places, which = items.find_distinct()
        distinct = items.take(places).with_their_texts()
        scores, keys, damaged = self._kept.read(distinct)
        unknown = np.flatnonzero(np.isnan(scores))
        encoded = self.network.encode_texts(distinct.queries, distinct.documents, distinct.numbers)
        asked = encoded if len(unknown) == len(distinct) else encoded.take(unknown)
        seconds = time.perf_counter() - start
        return Portion(distinct, which, scores, unknown, keys, encoded, asked, seconds, damaged)

    @cached_property
    def _runner(self) -> Runner[Encoded[NetworkBatch], Scores]:
        return Runner(self.session.hardware, self.network, self._scoring_on_one_device)

    @cached_property
    def _kept(self) -> KeptScores:
        cache = self.session.cache
        if cache is None or not cache.enabled:
            return KeptScores(None, "")
        return KeptScores(cache, name_scorer(self.network, self.session.hardware))

    def _scoring_on_one_device(self, network: Network) -> partial[Callable[[], Scores]]:
        return partial(_score_batch, network.inference(self.session), self.session.hardware.device)


def _score_batch(
    forward: Callable[[_Batch], Tensor], device: torch.device, items: Encoded[_Batch]
) -> Callable[[], Scores]:
    return bring_back(forward(items.on(device)).float())
