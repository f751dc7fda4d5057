"""Mining: candidates pass a sieve that drops what is, or seems to be, relevant, and counts it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from recross.collections.collection import Collection
from recross.negatives.copies import Copies
from recross.negatives.filters import Filter
from recross.negatives.pool import CandidatePool
from recross.negatives.workers import Judge
from recross.records import Ranking, ScoredDoc
from recross.runs import Run

GUARDS = ("relevant", "copy_of_relevant")
"""Reasons that no strategy can switch off."""


def find_known_positives(collection: Collection, split: str) -> dict[str, tuple[str, ...]]:
    """The relevant documents of each query of a split that the collection holds, sorted.

    Excluded ones are none.
    """
    positives = {
        query_id: tuple(
            sorted(
                doc_id
                for doc_id in collection.relevant(split, query_id)
                if doc_id in collection.documents
                and doc_id not in collection.excluded.get(query_id, ())
            )
        )
        for query_id in collection.query_ids(split)
    }
    return {query_id: doc_ids for query_id, doc_ids in positives.items() if doc_ids}


class Sieve:
    """Candidates on their way into a pool; what is dropped is counted once for each positive."""

    def __init__(
        self, candidates: Run, positives: Mapping[str, tuple[str, ...]], skip: int = 0
    ) -> None:
        self._candidates = candidates
        self._positives = positives
        self._left: dict[str, Sequence[ScoredDoc]] = {
            query_id: candidates.rankings.get(query_id, ())[skip:] for query_id in positives
        }
        self._total = self._count()
        self._barred: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        self._dropped = Counter(dict.fromkeys(GUARDS, 0))
        self._unbounded: Counter[str] = Counter()

    def drop_known(self, collection: Collection, split: str) -> None:
        """Drop what is judged relevant, and what has the text of a relevant document."""
        for query_id, positives in self._positives.items():
            relevant = collection.relevant(split, query_id)
            copies = Copies(collection.documents[positive] for positive in positives)
            kept = []
            for doc in self._left[query_id]:
                if doc.doc_id in relevant:
                    self._dropped["relevant"] += len(positives)
                elif collection.documents[doc.doc_id] in copies:
                    self._dropped["copy_of_relevant"] += len(positives)
                else:
                    kept.append(doc)
            self._left[query_id] = Ranking.of(kept)

    def drop(self, name: str, rule: Filter, collection: Collection, ask: Judge) -> None:
        """Drop what a filter finds too good beside each positive."""
        self._dropped[name] += 0
        self._unbounded[name] += 0
        judged = rule.judge(self._unjudged(), self._positives, collection, ask)
        for query_id, ranking in judged.rankings.items():
            scores = dict(ranking)
            for positive in self._positives[query_id]:
                score = scores.get(positive)
                self._unbounded[name] += score is None
                self._bar(name, query_id, positive, scores, rule.find_highest(score))
            self._forget_what_is_barred_everywhere(query_id)

    def pool(self) -> CandidatePool:
        """Return what is left as a pool, with the counts of what was dropped."""
        left = {query_id: ranking for query_id, ranking in self._left.items() if ranking}
        barred: dict[str, dict[str, list[str]]] = {}
        for (query_id, positive), doc_ids in self._barred.items():
            if doc_ids:
                barred.setdefault(query_id, {})[positive] = sorted(doc_ids)
        return CandidatePool(
            candidates=Run(self._candidates.name, left),
            positives=self._scored_positives(),
            barred=barred,
            counts={
                "queries": len(self._positives),
                "candidates": self._total,
                "dropped": dict(self._dropped),
                "kept": self._count() - sum(map(len, self._barred.values())),
                "positives_without_bound": dict(self._unbounded),
                "queries_without_candidates": len(self._positives) - len(left),
            },
        )

    def _count(self) -> int:
        return sum(len(self._left[q]) * len(docs) for q, docs in self._positives.items())

    def _unjudged(self) -> Run:
        """What is left, with the positives that the source ranked and their scores."""
        rankings: dict[str, Sequence[ScoredDoc]] = {}
        for query_id, left in self._left.items():
            if left:
                wanted = {*self._positives[query_id], *(doc.doc_id for doc in left)}
                ranking = self._candidates.rankings[query_id]
                rankings[query_id] = Ranking.of(doc for doc in ranking if doc.doc_id in wanted)
        return Run(self._candidates.name, rankings)

    def _bar(
        self, name: str, query_id: str, positive: str, scores: Mapping[str, float], highest: float
    ) -> None:
        before = self._barred.get((query_id, positive), set())
        left = (doc.doc_id for doc in self._left[query_id])
        if more := {doc_id for doc_id in left if scores[doc_id] > highest} - before:
            self._dropped[name] += len(more)
            self._barred[query_id, positive] |= more

    def _forget_what_is_barred_everywhere(self, query_id: str) -> None:
        sets = [self._barred.get((query_id, p), set()) for p in self._positives[query_id]]
        if everywhere := set[str].intersection(*sets):
            for barred in sets:
                barred -= everywhere
            left = (doc for doc in self._left[query_id] if doc.doc_id not in everywhere)
            self._left[query_id] = Ranking.of(left)

    def _scored_positives(self) -> Run:
        scores = {}
        for query_id, positives in self._positives.items():
            known = dict(self._candidates.rankings.get(query_id, ()))
            lowest = min(known.values(), default=0.0)
            scores[query_id] = {positive: known.get(positive, lowest) for positive in positives}
        return Run.from_scores(self._candidates.name, scores)
