"""A block of a run as one file of Parquet: query, document, rank and score of each pair."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from recross.runs import Run

PAIRS = pa.schema(
    [
        ("query_id", pa.string()),
        ("doc_id", pa.string()),
        ("rank", pa.int32()),  # from 1
        ("score", pa.float32()),
    ]
)


def write_parquet(run: Run, path: Path) -> None:
    """Write every pair of a run, one a row, best first within a query."""
    rows = [
        {"query_id": query_id, "doc_id": doc.doc_id, "rank": rank, "score": doc.score}
        for query_id, ranking in run.rankings.items()
        for rank, doc in enumerate(ranking, start=1)
    ]
    pq.write_table(pa.Table.from_pylist(rows, PAIRS), path)


def read_parquet(path: Path, query_ids: Sequence[str]) -> Run:
    """Read the pairs of these queries as the run that was written, named after the file."""
    scores: dict[str, dict[str, float]] = {query_id: {} for query_id in query_ids}
    for row in pq.read_table(path, schema=PAIRS).to_pylist():
        scores[row["query_id"]][row["doc_id"]] = row["score"]
    return Run.from_scores(path.stem, scores)
