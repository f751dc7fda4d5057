"""Somebody else's run as a first stage."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from recross.collections.collection import Collection
from recross.errors import InputError
from recross.parts.bounds import checked
from recross.retrieval.retriever import Retriever
from recross.runs import Run

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
@checked
class RunFile(Retriever):
    """The rankings of a TREC run file."""

    path: Path

    def check(self) -> None:
        """Look for the file."""
        if not self.path.is_file():
            raise InputError(f"run file must exist, got {str(self.path)!r}")

    @property
    def candidates(self) -> str:
        """What a table calls its rankings."""
        return f"run file {self.path}"

    @property
    def searches_collection(self) -> bool:
        """False: the rankings are somebody else's."""
        return False

    def retrieve(self, collection: Collection, query_ids: Sequence[str], depth: int) -> Run:
        """Read the file's best ``depth`` documents of each query.

        Raises:
            InputError: the file names none of the queries, or a document the collection lacks.
        """
        run = Run.read(self.path)
        found = restrict_candidates(run, collection, query_ids, str(self.path)).cut(depth)
        if missing := [query_id for query_id in query_ids if query_id not in run.rankings]:
            logger.warning(
                "%s: %d of %d queries are not in it and get no candidates, such as %r",
                *(self.path, len(missing), len(query_ids), missing[0]),
            )
        return found


def restrict_candidates(
    run: Run, collection: Collection, query_ids: Sequence[str], source: str
) -> Run:
    """Keep the queries asked for and check that the collection knows every document."""
    if not any(query_id in run.rankings for query_id in query_ids):
        raise InputError(
            f"{source} must rank documents for the queries of {collection.name!r}"
            f" (such as {query_ids[0]!r}), got {next(iter(run.rankings))!r}"
        )
    kept = run.restrict(query_ids)
    named = {doc.doc_id for ranking in kept.rankings.values() for doc in ranking}
    if unknown := sorted(doc_id for doc_id in named if doc_id not in collection.documents):
        raise InputError(
            f"{source} must name documents of {collection.name!r},"
            f" got {unknown[0]!r} ({len(unknown)} unknown of {len(named)})"
        )
    return kept
