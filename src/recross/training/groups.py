"""Training groups: each query's positive with its negatives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from recross.collection import Collection
from recross.errors import InputError
from recross.negatives.sampler import NegativeSampler
from recross.records import ScoredDoc, TrainingGroup
from recross.runs import Run
from recross.seeding import generator


@dataclass(frozen=True)
class Groups:
    """Training groups and what was left out of them, by reason."""

    groups: tuple[TrainingGroup, ...]
    left_out: Mapping[str, int]


def make_groups(
    candidates: Run,
    collection: Collection,
    split: str,
    sampler: NegativeSampler,
    negatives: int,
    seed: int,
    evaluation_splits: Sequence[str] = (),
) -> Groups:
    """One group for each relevant document of each query of ``split``, labelled with its grade.

    Every draw depends on (seed, query_id, document) alone. A query whose text is also a query of an
    evaluation split is left out, and so is one without a relevant document or without negatives.

    Raises:
        InputError: nothing is left to train on.
    """
    seen_elsewhere = _texts(collection, evaluation_splits)
    judged = collection.qrels(split)
    groups: list[TrainingGroup] = []
    left_out = dict.fromkeys(("in_evaluation_split", "without_positive", "without_negatives"), 0)
    for query_id in collection.query_ids(split):
        relevant = collection.relevant(split, query_id)
        known = frozenset(doc_id for doc_id in relevant if doc_id in collection.documents)
        if _folded(collection.queries[query_id]) in seen_elsewhere:
            left_out["in_evaluation_split"] += 1
        elif not known:
            left_out["without_positive"] += 1
        else:
            graded = {doc_id: judged[query_id][doc_id] for doc_id in sorted(known)}
            own = _groups_of(query_id, graded, candidates, relevant, sampler, negatives, seed)
            left_out["without_negatives"] += len(known) - len(own)
            groups += own
    if not groups:
        raise InputError(
            f"split {split!r} must hold queries with a relevant document and negatives,"
            f" got none ({left_out})"
        )
    return Groups(tuple(groups), left_out)


def _groups_of(
    query_id: str,
    positives: Mapping[str, int],
    candidates: Run,
    relevant: frozenset[str],
    sampler: NegativeSampler,
    size: int,
    seed: int,
) -> list[TrainingGroup]:
    ranking = candidates.rankings[query_id]
    groups = []
    for positive, grade in positives.items():
        rng = generator(seed, "negatives", f"{query_id} {positive}")
        drawn = sampler.sample(ranking, relevant, size, rng)
        if drawn:
            doc_ids = (positive, *drawn)
            labels = (float(grade), *(0.0 for _ in drawn))
            first = _first_stage_scores(ranking, doc_ids)
            groups.append(TrainingGroup(query_id, doc_ids, labels, first_stage_scores=first))
    return groups


def _first_stage_scores(ranking: Sequence[ScoredDoc], doc_ids: Sequence[str]) -> tuple[float, ...]:
    """Scores of the candidates; a document below the cut gets the lowest score above it."""
    known = dict(ranking)
    lowest = min(known.values(), default=0.0)
    return tuple(known.get(doc_id, lowest) for doc_id in doc_ids)


def _texts(collection: Collection, splits: Sequence[str]) -> frozenset[str]:
    return frozenset(
        _folded(collection.queries[query_id])
        for split in splits
        for query_id in collection.split_queries.get(split, ())
    )


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())
