"""What training and evaluation share: queries, relevant documents, and queries nearly equal."""

from __future__ import annotations

import logging
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Literal

from recross.collections.collection import Collection
from recross.errors import InputError
from recross.negatives.copies import fold_text

logger = logging.getLogger(__name__)

LeakPolicy = Literal["leave_out", "refuse"]
LEAST_SHARED, OF_UNION = 4, 5
"""Near-duplicates share four fifths of their words; in whole numbers, which round nowhere."""

Words = frozenset[str]


@dataclass(frozen=True)
class Leaks:
    """``queries`` are training queries whose text an evaluation split asks, too.

    ``shared_positives`` counts documents that are relevant in training and in evaluation,
    ``near_duplicates`` training queries that share most words with an evaluation query.
    ``evaluation_texts`` are the texts of the evaluation queries, folded.
    """

    queries: frozenset[str] = frozenset()
    shared_positives: int = 0
    near_duplicates: int = 0
    evaluation_texts: frozenset[str] = field(default=frozenset(), compare=False, repr=False)

    def asks(self, text: str) -> bool:
        """Whether an evaluation split asks a query of this text."""
        return fold_text(text) in self.evaluation_texts

    @property
    def counts(self) -> Mapping[str, int]:
        """How many leaks of each kind there are, for the record."""
        return {
            "queries": len(self.queries),
            "shared_positives": self.shared_positives,
            "near_duplicates": self.near_duplicates,
        }

    def check(self, policy: LeakPolicy) -> None:
        """Refuse equal queries and shared relevant documents, if that is asked for.

        Raises:
            InputError: the policy is ``refuse`` and there is something to refuse.
        """
        if policy == "refuse" and (self.queries or self.shared_positives):
            raise InputError(
                "leaks must be leave_out where training and evaluation share queries or relevant"
                f" documents, got 'refuse' with {len(self.queries)} queries and"
                f" {self.shared_positives} documents"
            )


def find_leaks(
    collection: Collection, split: str | None, evaluation_splits: Sequence[str]
) -> Leaks:
    """Compare a training split with evaluation splits; one that the collection lacks is empty.

    Without a training split (``None``) only the texts of the evaluation queries are known.
    """
    evaluation_queries = {
        query_id: collection.queries[query_id]
        for evaluation in evaluation_splits
        for query_id in collection.split_queries.get(evaluation, ())
    }
    texts = frozenset(fold_text(text) for text in evaluation_queries.values())
    if split is None:
        return Leaks(evaluation_texts=texts)
    training = {query_id: collection.queries[query_id] for query_id in collection.query_ids(split)}
    leaked = frozenset(query_id for query_id, text in training.items() if fold_text(text) in texts)
    others = {query_id: text for query_id, text in training.items() if query_id not in leaked}
    near = dict(find_near_duplicates(others, evaluation_queries))
    if near:
        query_id, other_id = next(iter(near.items()))
        logger.warning(
            "%d %s queries nearly equal evaluation queries, such as %r and %r",
            *(len(near), split, training[query_id], evaluation_queries[other_id]),
        )
    evaluated = {
        doc_id
        for evaluation in evaluation_splits
        for query_id in collection.split_qrels.get(evaluation, ())
        for doc_id in collection.relevant(evaluation, query_id)
    }
    positives = {doc_id for query_id in others for doc_id in collection.relevant(split, query_id)}
    return Leaks(leaked, len(positives & evaluated), len(near), texts)


def find_near_duplicates(
    texts: Mapping[str, str], others: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Yield the id of each text that nearly equals one of the others, and that other's id.

    Two texts nearly equal each other where the Jaccard index of their sets of words is .8 or more.
    Such sets must share one of their rarest words (prefix filtering, Chaudhuri et al. 2006), so
    that only texts that do are compared.
    """
    word_sets = {name: _split_words(text) for name, text in texts.items()}
    other_sets = {name: _split_words(text) for name, text in others.items()}
    uses = Counter(chain.from_iterable([*word_sets.values(), *other_sets.values()]))
    index: defaultdict[str, list[str]] = defaultdict(list)
    for other_name, other_set in other_sets.items():
        for word in _find_prefix(other_set, uses):
            index[word].append(other_name)
    for name, word_set in word_sets.items():
        sharing = chain.from_iterable(index.get(word, ()) for word in _find_prefix(word_set, uses))
        for other_name in dict.fromkeys(sharing):
            if _is_near(word_set, other_sets[other_name]):
                yield name, other_name
                break


def _split_words(text: str) -> Words:
    return frozenset(re.findall(r"\w+", text.casefold()))


def _find_prefix(words: Words, uses: Mapping[str, int]) -> list[str]:
    """The rarest words of a set, one more than a near-duplicate of it may lack."""
    rarest = sorted(words, key=lambda word: (uses[word], word))
    return rarest[: len(words) * (OF_UNION - LEAST_SHARED) // OF_UNION + 1] if words else []


def _is_near(left: Words, right: Words) -> bool:
    shared = len(left & right)
    return shared * OF_UNION >= (len(left) + len(right) - shared) * LEAST_SHARED
