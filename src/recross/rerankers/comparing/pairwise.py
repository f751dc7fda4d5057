"""Which pairs of a query's documents to compare, and many queries' comparisons as one batch.

A strategy is a generator: it yields the ordered pairs it wants compared, is sent their margins (see
``preferences``), and at last returns one score per document. It never sees the network, so the
pairs that all queries want at the same time are asked together.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Annotated, NamedTuple, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from recross.errors import InputError
from recross.parts.bounds import Ge, checked
from recross.rerankers.comparing.preferences import (
    AGGREGATIONS,
    AggregationName,
    DocumentScores,
    Margins,
    Pairs,
)

ComparisonRounds = Generator[Pairs, Margins, DocumentScores]
"""One query's comparisons: yields pairs, never none, takes their margins, returns scores."""

Question = tuple[str, int, int]
"""(query_id, position of the document read first, position of the other)."""


@runtime_checkable
class PairwiseStrategy(Protocol):
    """Decides which documents to compare, and scores them by the answers."""

    def compare(self, count: int, rng: np.random.Generator) -> ComparisonRounds:
        """Compare ``count`` documents by position, 0 being the best of the first stage."""


@dataclass(frozen=True)
@checked
class AllPairs:
    """Every document against every other in both orders, k(k - 1) pairs in one round.

    The published duoT5 (Pradeep et al. 2021) with its default ``aggregation``.
    """

    aggregation: AggregationName = "sym_sum"

    def compare(self, count: int, rng: np.random.Generator) -> ComparisonRounds:
        """Compare all; nothing is drawn."""
        return (yield from _in_one_round(~np.eye(count, dtype=bool), self.aggregation))


@dataclass(frozen=True)
@checked
class SampledOpponents:
    """Each document against ``opponents`` random others, k times ``opponents`` pairs in one round.

    The documents are placed on a circle at random and each is read first with the next ones. So the
    opponents of a document are a uniform sample without replacement, as in duoBERT's SAMPLE
    (Nogueira et al. 2019), yet each document is also read second just as often as first and, up to
    half of the circle, against others. Symmetric aggregations gain twice the opponents by that, and
    no document gains by a network's bias towards a place. With k - 1 opponents or more this is
    ``AllPairs``.
    """

    opponents: Annotated[int, Ge(1)]
    aggregation: AggregationName = "sym_sum"

    def compare(self, count: int, rng: np.random.Generator) -> ComparisonRounds:
        """Compare a sample drawn from ``rng``."""
        circle = rng.permutation(count)
        is_compared = np.zeros((count, count), dtype=bool)
        for distance in range(1, min(self.opponents, count - 1) + 1):
            is_compared[circle, np.roll(circle, -distance)] = True
        return (yield from _in_one_round(is_compared, self.aggregation))


@dataclass(frozen=True)
@checked
class MergeSort:
    """Merge sort from the bottom up with the network as comparator.

    At most k ceil(log2 k) comparisons in fewer than 3k rounds: all merges of a level take their
    steps together. ``both_orders`` asks each pair both ways round and decides by the sign of
    m(i, j) - m(j, i), which cancels a bias towards a place; otherwise the document that ranks
    higher so far is read first. Ties keep the first stage's order. Scores are ordinal, the number
    of documents ranked below: their differences mean nothing.
    """

    both_orders: bool = True

    def compare(self, count: int, rng: np.random.Generator) -> ComparisonRounds:
        """Merge sort the documents by comparisons; ``rng`` is not used."""
        runs = [deque([position]) for position in range(count)]
        while len(runs) > 1:
            merges = [
                _Merge(left, right, deque())
                for left, right in zip(runs[::2], runs[1::2], strict=False)
            ]
            unpaired = runs[2 * len(merges) :]
            while open_merges := [merge for merge in merges if merge.left and merge.right]:
                pairs = np.array([(merge.left[0], merge.right[0]) for merge in open_merges])
                first_wins = yield from _ask_who_wins(pairs, self.both_orders)
                for merge, left_wins in zip(open_merges, first_wins, strict=True):
                    merge.merged.append((merge.left if left_wins else merge.right).popleft())
            runs = [merge.merged + merge.left + merge.right for merge in merges] + unpaired
        return _score_order([position for run in runs for position in run])


@dataclass(frozen=True)
@checked
class SlidingPasses:
    """Bubble passes from the bottom, each of which carries one more document to the top.

    Pairwise ranking prompting's PRP-Sliding-K (Qin et al. 2023): right at the top ``passes`` ranks,
    close to the first stage's order below them. A pass stops where earlier ones have settled, and
    starts while the one before is two steps ahead, which changes no result: k + ``passes`` - 2
    rounds. ``both_orders``, ties and ordinal scores are as in ``MergeSort``.
    """

    passes: Annotated[int, Ge(1)] = 10
    both_orders: bool = True

    def compare(self, count: int, rng: np.random.Generator) -> ComparisonRounds:
        """Sort the top; nothing is drawn."""
        order = np.arange(count)
        passes = np.arange(min(self.passes, max(count - 1, 0)))
        for step in range(count + len(passes) - 2):
            places = count - 1 - step + 2 * passes  # where each pass stands, if it has begun
            lower = places[(places > passes) & (places < count)]
            pairs = np.stack([order[lower - 1], order[lower]], axis=1)
            swapped = lower[~(yield from _ask_who_wins(pairs, self.both_orders))]
            order[swapped - 1], order[swapped] = order[swapped], order[swapped - 1]
        return _score_order(order.tolist())


def rank_in_lockstep(
    strategy: PairwiseStrategy,
    counts: Mapping[str, int],
    ask: Callable[[list[Question]], npt.ArrayLike],
    rng_for: Callable[[str], np.random.Generator],
) -> dict[str, list[float]]:
    """Score the documents of many queries, asking each round's pairs of all of them at once.

    ``counts`` says how many documents each query has; ``ask`` returns one margin per question.
    Queries with no pair to compare ask nothing. A query's scores do not depend on the other
    queries, so a caller may split ``counts`` to bound memory: all pairs of 50 documents are 2,450
    questions for each query.

    Raises:
        InputError: a count is negative, or ``ask`` returns not one margin per question.
    """
    for query_id, count in counts.items():
        if count < 0:
            raise InputError(f"counts must not be negative, got {count} for query {query_id!r}")
    comparisons = {q: strategy.compare(count, rng_for(q)) for q, count in counts.items()}
    scores: dict[str, list[float]] = {}
    margins: dict[str, Margins | None] = dict.fromkeys(comparisons)
    while margins:
        pairs: dict[str, Pairs] = {}
        for query_id, answer in margins.items():
            comparison = comparisons[query_id]
            try:
                pairs[query_id] = next(comparison) if answer is None else comparison.send(answer)
            except StopIteration as end:
                scores[query_id] = end.value.tolist()
        margins = _answers(pairs, ask)
    return {query_id: scores[query_id] for query_id in counts}


class _Merge(NamedTuple):
    left: deque[int]
    right: deque[int]
    merged: deque[int]


def _in_one_round(
    is_compared: npt.NDArray[np.bool_], aggregation: AggregationName
) -> ComparisonRounds:
    pairs = np.argwhere(is_compared)
    margins = (yield pairs) if len(pairs) else np.empty(0)
    return AGGREGATIONS[aggregation](len(is_compared), pairs, margins)


def _ask_who_wins(
    pairs: Pairs, both_orders: bool
) -> Generator[Pairs, Margins, npt.NDArray[np.bool_]]:
    if not both_orders:
        return (yield pairs) >= 0
    margins = yield np.concatenate([pairs, pairs[:, ::-1]])
    return margins[: len(pairs)] >= margins[len(pairs) :]


def _score_order(order: list[int]) -> DocumentScores:
    """Number of documents below each position, from the positions in order, best first."""
    scores = np.empty(len(order))
    scores[order] = np.arange(len(order))[::-1]
    return scores


def _answers(
    pairs_of_queries: Mapping[str, Pairs], ask: Callable[[list[Question]], npt.ArrayLike]
) -> dict[str, Margins | None]:
    if not pairs_of_queries:
        return {}
    questions = [(q, i, j) for q, pairs in pairs_of_queries.items() for i, j in pairs.tolist()]
    margins = np.asarray(ask(questions), dtype=np.float64)
    if margins.shape != (len(questions),):
        raise InputError(f"ask must return {len(questions)} margins, got {margins.shape}")
    ends = np.cumsum([len(pairs) for pairs in pairs_of_queries.values()])
    return dict(zip(pairs_of_queries, np.split(margins, ends[:-1]), strict=True))
