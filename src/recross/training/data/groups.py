"""Training groups: each query's positive with its negatives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from recross.collections.collection import Collection, Texts
from recross.errors import InputError
from recross.negatives.sampler import Mined
from recross.records import JsonObject, TrainingGroup
from recross.seeding import make_generator
from recross.training.data.leaks import Leaks

LEFT_OUT = (
    *("in_evaluation_split", "without_positive", "without_negatives"),
    *("unknown_positives", "excluded_positives"),
)
"""Why a query of the first two, or a relevant document of the others, is not learned from."""


@dataclass(frozen=True)
class TrainingGroups:
    """Training groups, what was left out of them, and what mining dropped, by reason.

    Groups ``on_disk`` are read one by one, and all of them have a teacher's scores or none has.
    ``texts`` are those of theirs that no collection holds.
    """

    groups: Sequence[TrainingGroup]
    left_out: Mapping[str, int]
    mined: JsonObject = field(default_factory=dict)
    on_disk: bool = False
    texts: Texts | None = None

    def __len__(self) -> int:
        return len(self.groups)

    @property
    def summary(self) -> str:
        """How many groups there are, and what was left out of them by reason."""
        reasons = [f"{number} {reason}" for reason, number in self.left_out.items() if number]
        return f"{len(self)} groups" + (f", left out: {', '.join(reasons)}" if reasons else "")

    @property
    def untaught(self) -> int:
        """How many groups lack a teacher's scores."""
        if self.on_disk:
            return 0 if self.groups[0].teacher_scores is not None else len(self.groups)
        return sum(group.teacher_scores is None for group in self.groups)

    def put_texts_over(self, collection: Collection) -> Collection:
        """The collection, which then knows all texts of these groups."""
        return collection if self.texts is None else collection.with_texts(self.texts)


def make_groups(
    mined: Mined,
    collection: Collection,
    split: str,
    negatives: int,
    seed: int,
    leaks: Leaks = Leaks(),
) -> TrainingGroups:
    """One group for each relevant document of each query of ``split``, labelled with its grade.

    Every draw depends on (seed, query_id, document) alone. A query that leaks from an evaluation
    split is left out, and so is one without a relevant document or without negatives; relevant
    documents that the collection lacks, or excludes for their query, are counted.

    Raises:
        InputError: nothing is left to train on.
    """
    judged = collection.qrels(split)
    groups: list[TrainingGroup] = []
    left_out = dict.fromkeys(LEFT_OUT, 0)
    for query_id in collection.query_ids(split):
        relevant = collection.relevant(split, query_id)
        allowed = relevant - collection.excluded.get(query_id, frozenset())
        known = sorted(doc_id for doc_id in allowed if doc_id in collection.documents)
        left_out["excluded_positives"] += len(relevant) - len(allowed)
        left_out["unknown_positives"] += len(allowed) - len(known)
        if query_id in leaks.queries:
            left_out["in_evaluation_split"] += 1
        elif not known:
            left_out["without_positive"] += 1
        else:
            graded = {doc_id: judged[query_id][doc_id] for doc_id in known}
            drawn = list(_draw_groups(query_id, graded, mined, negatives, seed))
            left_out["without_negatives"] += len(known) - len(drawn)
            groups += drawn
    if not groups:
        raise InputError(
            f"split {split!r} must hold queries with a relevant document and negatives,"
            f" got none ({left_out})"
        )
    return TrainingGroups(tuple(groups), left_out, mined.counts)


def _draw_groups(
    query_id: str, positives: Mapping[str, int], mined: Mined, size: int, seed: int
) -> Iterator[TrainingGroup]:
    for positive, grade in positives.items():
        rng = make_generator(seed, "negatives", f"{query_id} {positive}")
        if drawn := mined.draw(query_id, positive, size, rng):
            doc_ids = (positive, *drawn)
            labels = (float(grade), *(0.0 for _ in drawn))
            first = mined.first_stage_scores(query_id, doc_ids)
            yield TrainingGroup(query_id, doc_ids, labels, first_stage_scores=first)
