"""What a search matches: numbers of documents with their scores, and the run they make."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from recross.runs import Run


class Matches(NamedTuple):
    """Documents that one query matched, in no order."""

    rows: npt.NDArray[np.integer[Any]]  # (n,) numbers of documents
    scores: npt.NDArray[np.float32]  # (n,)

    def keep_best(self, depth: int) -> Matches:
        """Keep the best ``depth`` documents, and those that tie with the last of them."""
        if len(self.scores) <= depth:
            return self
        lowest = np.partition(self.scores, -depth)[-depth]
        return self.select(self.scores >= lowest)

    def with_block(self, start: int, scores: npt.NDArray[np.float32], depth: int) -> Matches:
        """Take the best of a block of documents too, ``(n,)`` scores numbered from ``start``."""
        lowest = self.scores.min() if len(self.scores) >= depth else -np.inf
        near = np.flatnonzero(scores >= lowest)
        rows = np.concatenate([self.rows, near + start])
        return Matches(rows, np.concatenate([self.scores, scores[near]])).keep_best(depth)

    def select(self, kept: npt.NDArray[np.bool_]) -> Matches:
        """Keep the documents marked ``(n,)``."""
        return Matches(self.rows[kept], self.scores[kept])


def make_run(
    name: str, doc_ids: Sequence[str], matches: Iterable[tuple[str, Matches]], depth: int
) -> Run:
    """Make a run of each query's matches, cut where a run's own order of ties says."""

    def name_documents(best: Matches) -> dict[str, float]:
        rows, scores = best.rows.tolist(), best.scores.tolist()
        return {doc_ids[row]: score for row, score in zip(rows, scores, strict=True)}

    named = ((query_id, name_documents(best)) for query_id, best in matches)
    return Run.of_each(name, named).cut(depth)
