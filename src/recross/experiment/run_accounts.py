"""What the commands that write a run were given, and what became of it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from recross.collections.collection import Collection
from recross.errors import InputError
from recross.evaluation.accounts import describe_truncation
from recross.experiment.origin import describe_origin
from recross.parts.identity import describe
from recross.records import JsonObject
from recross.retrieval.run_file import restrict_candidates
from recross.runs import Run
from recross.store import hash_files

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class AccountedRun:
    """A run, and what its command says of it in a file beside it."""

    run: Run
    account: JsonObject


@dataclass(frozen=True)
class GivenRun:
    """Candidates as somebody's file holds them, and what of them is re-ranked.

    Left out are the queries that the collection does not know, and excluded documents: others are
    ``allowed``. Of these ``candidates`` are re-ranked: those down to ``depth``, or all. Those below
    it stay behind them in their order, unless ``drops_tail``.
    """

    path: Path
    whole: Run
    unknown: Sequence[str]
    allowed: Run
    candidates: Run
    drops_tail: bool

    @classmethod
    def choose(
        cls,
        path: Path,
        whole: Run,
        collection: Collection,
        depth: int | None,
        drops_tail: bool = False,
    ) -> GivenRun:
        """Choose from the run of a file what is re-ranked, and say what is left out.

        Raises:
            InputError: no query is the collection's, or a document is not.
        """
        known = [query_id for query_id in whole.rankings if query_id in collection.queries]
        unknown = [query_id for query_id in whole.rankings if query_id not in collection.queries]
        if not known:
            raise InputError(f"candidates must rank queries of the collection, got {unknown[0]!r}")
        allowed = restrict_candidates(whole, collection, known, str(path))
        allowed = allowed.without(collection.excluded)
        cut = allowed.cut(depth) if depth is not None else allowed
        given = cls(path, whole, unknown, allowed, cut, drops_tail)
        given._say(collection, depth)
        return given

    @property
    def below(self) -> int:
        """How many allowed documents are below the depth."""
        return _count(self.allowed) - _count(self.candidates)

    def complete(self, reranked: Run) -> Run:
        """The re-ranked candidates and, unless it is dropped, what was below them."""
        return reranked if self.drops_tail or not self.below else reranked.with_tail(self.allowed)

    def _say(self, collection: Collection, depth: int | None) -> None:
        if self.unknown:
            logger.warning(
                "%s: %d of %d queries are unknown to %r and left out, such as %r",
                *(self.path, len(self.unknown), len(self.whole), collection.name, self.unknown[0]),
            )
        if self.allowed.left_out:
            logger.info("%d documents left out that are excluded", self.allowed.left_out)
        counts = (self.path, depth, self.below, _count(self.allowed))
        if self.below and self.drops_tail:
            logger.warning("%s: depth=%s leaves out %d of %d documents, those below it", *counts)
        elif self.below:
            logger.info("%s: depth=%s leaves %d of %d documents as they are, below it", *counts)

    def account(self, reranked: Run, collection: Collection, depth: int | None) -> JsonObject:
        """Every query and document that was given, by what became of it."""
        of_unknown = sum(len(self.whole.rankings[query_id]) for query_id in self.unknown)
        return {
            "candidates": {"path": str(self.path), "content": hash_files(self.path)},
            "depth": depth,
            "tail": "drop" if self.drops_tail else "keep",
            "queries": {
                "given": len(self.whole),
                "unknown": len(self.unknown),
                "first_unknown": next(iter(self.unknown), None),
                "without_candidates": _count_empty(self.candidates),
                "reranked": len(reranked),
            },
            "splits": _count_splits(self.whole, collection),
            "documents": {
                "given": _count(self.whole),
                "of_unknown_queries": of_unknown,
                "excluded": self.allowed.left_out,
                "below_depth": self.below,
                "reranked": _count(reranked),
            },
        }


def account_for_retrieval(
    run: Run, collection: Collection, split: str, depth: int
) -> dict[str, object]:
    """What became of the queries of a split; those that find nothing are named and said."""
    empty = [query_id for query_id, ranking in run.rankings.items() if not ranking]
    if empty:
        logger.warning(
            "%d of %d queries found no document, such as %r", len(empty), len(run), empty[0]
        )
    short = sum(len(ranking) < depth for ranking in run.rankings.values())
    if not say_small_collection(collection, depth) and short > len(empty):
        logger.info(
            "%s of %s queries found fewer than depth=%d", f"{short:,}", f"{len(run):,}", depth
        )
    qrels = collection.split_qrels.get(split, {})
    return {
        "split": split,
        "depth": depth,
        "queries": {
            "asked": len(run),
            "without_documents": len(empty),
            "first_without_documents": next(iter(empty), None),
            "short": short,
            "without_qrels": sum(query_id not in qrels for query_id in run.rankings),
        },
        "documents": {"retrieved": _count(run), "excluded": run.left_out},
    }


def say_small_collection(collection: Collection, depth: int) -> bool:
    """Say it where no query can find ``depth`` documents; whether that is so."""
    if (size := len(collection.documents)) >= depth:
        return False
    logger.info("depth=%d is more than the %d documents of %r", depth, size, collection.name)
    return True


def complete_account(
    made: JsonObject, run: Run, collection: Collection, stage: str, part: object
) -> AccountedRun:
    """Add to an account what made the run, from what, and what of the texts was cut."""
    return AccountedRun(
        run,
        {
            **describe_origin(collection),
            stage: describe(part),
            **made,
            "truncation": describe_truncation(run.cost),
            "cost": asdict(run.cost),
        },
    )


def _count_splits(run: Run, collection: Collection) -> JsonObject:
    """How many queries the splits have of which the run ranks some, and how many it ranks."""
    ranked = {
        split: sum(query_id in run.rankings for query_id in query_ids)
        for split, query_ids in collection.split_queries.items()
    }
    return {
        split: {"queries": len(collection.split_queries[split]), "given": number}
        for split, number in ranked.items()
        if number
    }


def _count(run: Run) -> int:
    return sum(map(len, run.rankings.values()))


def _count_empty(run: Run) -> int:
    return sum(not ranking for ranking in run.rankings.values())
