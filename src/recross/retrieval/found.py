"""What a search finds: numbers of documents with their scores, and the run they make."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from recross.runs import Run


class Found(NamedTuple):
    """Documents of one query, in no order."""

    rows: npt.NDArray[np.integer[Any]]  # (n,) numbers of documents
    scores: npt.NDArray[np.float32]  # (n,)

    def best(self, depth: int) -> Found:
        """The best ``depth`` documents, and those that tie with the last of them."""
        if len(self.scores) <= depth:
            return self
        lowest = np.partition(self.scores, -depth)[-depth]
        return self.where(self.scores >= lowest)

    def where(self, kept: npt.NDArray[np.bool_]) -> Found:
        """The documents marked ``(n,)``."""
        return Found(self.rows[kept], self.scores[kept])


def run_of(
    name: str, doc_ids: Sequence[str], found: Iterable[tuple[str, Found]], depth: int
) -> Run:
    """The run of what was found for each query, cut where a run's own order of ties says."""
    scores = {
        query_id: {
            doc_ids[row]: score
            for row, score in zip(one.rows.tolist(), one.scores.tolist(), strict=True)
        }
        for query_id, one in found
    }
    return Run.from_scores(name, scores).cut(depth)
