"""Splits that a collection lacks: development queries of its own, folds for cross-validation."""

from __future__ import annotations

from collections.abc import Collection as Some
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

from recross.collections.collection import Collection, CollectionSource, find_splits
from recross.errors import InputError
from recross.parts.bounds import Below, Ge, Gt, Lt, Seed, checked
from recross.records import Qrels
from recross.seeding import make_generator

JudgedQueries = tuple[Sequence[str], Qrels]
"""Queries of a split, and judgments."""


@dataclass(frozen=True)
@checked
class HeldOut:
    """``dev_share`` of the queries of ``split``, drawn from ``seed``, become the split ``dev``."""

    source: CollectionSource
    split: str = "train"
    dev_share: Annotated[float, Gt(0), Lt(1)] = 0.1
    seed: Seed = 0

    def list_splits(self) -> Sequence[str] | None:
        """Those of the source, and ``dev``."""
        known = find_splits(self.source)
        return [*known, "dev"] if known else None

    def load(self) -> Collection:
        """Load the source.

        Raises:
            InputError: it has a split ``dev`` of its own, or too few queries.
        """
        whole = self.source.load()
        if "dev" in whole.split_queries:
            raise InputError(f"collection.source must have no split 'dev', got {whole.name!r}")
        query_ids, qrels = whole.query_ids(self.split), whole.qrels(self.split)
        kept, dev = _divide(query_ids, self.dev_share, self.seed)
        splits = {
            name: (ids, whole.split_qrels.get(name, {}))
            for name, ids in whole.split_queries.items()
        } | {self.split: _restrict(kept, qrels), "dev": _restrict(dev, qrels)}
        origins = {name: name for name in whole.split_queries} | {"dev": self.split}
        how = f"held out {self.split} {self.dev_share} {self.seed}"
        return _replace_splits(whole, splits, origins, how)


@dataclass(frozen=True)
@checked
class Folds:
    """Every ``folds``-th query of ``split`` is tested, of the others ``dev_share`` are ``dev``.

    Queries are shuffled once from ``seed``; over ``fold = 0 … folds - 1`` each is tested once. With
    ``learn_from`` the split ``train`` has that split's judgments of the same queries.
    """

    source: CollectionSource
    fold: Annotated[int, Ge(0), Below("folds")] = 0
    folds: Annotated[int, Ge(2)] = 5
    split: str = "test"
    learn_from: str | None = None
    dev_share: Annotated[float, Gt(0), Lt(1)] = 0.2
    seed: Seed = 0

    def list_splits(self) -> Sequence[str]:
        """Those that every fold has."""
        return ["train", "dev", "test"]

    def load(self) -> Collection:
        """Load the source.

        Raises:
            InputError: it has too few queries.
        """
        whole = self.source.load()
        query_ids, qrels = whole.query_ids(self.split), whole.qrels(self.split)
        order = make_generator(self.seed, "folds").permutation(len(query_ids)).tolist()
        tested = {query_ids[n] for n in order[self.fold :: self.folds]}
        others = [query_id for query_id in query_ids if query_id not in tested]
        kept, dev = _divide(others, self.dev_share, self.seed)
        learned = whole.qrels(self.learn_from or self.split)
        splits = {
            "train": _restrict(kept, learned),
            "dev": _restrict(dev, qrels),
            "test": _restrict([q for q in query_ids if q in tested], qrels),
        }
        origins = {"train": self.learn_from or self.split, "dev": self.split, "test": self.split}
        settings = (self.split, self.learn_from, self.fold, self.folds, self.dev_share, self.seed)
        return _replace_splits(whole, splits, origins, f"{settings}")


def _divide(query_ids: Sequence[str], share: float, seed: int) -> tuple[list[str], list[str]]:
    """Those that stay, and a random share, both in the order given; none of the two is empty."""
    size = max(round(share * len(query_ids)), 1)
    if size >= len(query_ids):
        raise InputError(f"collection.source must have queries to divide, got {len(query_ids)}")
    order = make_generator(seed, "held out").permutation(len(query_ids)).tolist()
    chosen = {query_ids[n] for n in order[:size]}
    return [q for q in query_ids if q not in chosen], [q for q in query_ids if q in chosen]


def _restrict(query_ids: Some[str], qrels: Qrels) -> JudgedQueries:
    return tuple(query_ids), {q: qrels[q] for q in query_ids if q in qrels}


def _replace_splits(
    whole: Collection, splits: Mapping[str, JudgedQueries], origins: Mapping[str, str], how: str
) -> Collection:
    """The same texts with these splits, each judged as the one that it comes from."""
    return replace(
        whole,
        split_queries={name: query_ids for name, (query_ids, _) in splits.items()},
        split_qrels={name: qrels for name, (_, qrels) in splits.items()},
        relevant_from={name: whole.relevant_grade(split) for name, split in origins.items()},
        fingerprint=f"{whole.fingerprint}, {how}",
        texts=whole.texts_fingerprint,
    )
