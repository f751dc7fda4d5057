"""Mined candidates as files: TREC runs that any tool reads, and a manifest that counts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from recross.records import JsonObject
from recross.runs import Run
from recross.store import read_manifest, write_json

POOL, POSITIVES, BARRED = "pool.trec", "positives.trec", "barred.json"

Barred = Mapping[str, Mapping[str, Sequence[str]]]
"""query_id -> positive -> documents that may stand beside its other positives only."""


@dataclass(frozen=True)
class CandidatePool:
    """What may be drawn for each query, ranked as its source ranked it.

    ``positives`` holds the source's scores of the positives; a positive below the cut has the
    lowest score above it. ``counts`` counts a candidate once for each positive of its query.
    """

    candidates: Run
    positives: Run
    barred: Barred
    counts: JsonObject

    @property
    def account(self) -> str:
        """What became of the candidates, in words."""
        counts = self.counts
        dropped = [
            f"{number:,} {reason.replace('_', ' ')}"
            for reason, number in counts["dropped"].items()
            if number
        ]
        parts = [f"{counts['kept']:,} of {counts['candidates']:,} candidates kept"]
        parts += [f"dropped: {', '.join(dropped)}"] if dropped else []
        if counts["queries_without_candidates"]:
            parts.append(f"{counts['queries_without_candidates']:,} queries without candidates")
        return "; ".join(parts)

    def list_allowed(self, query_id: str, positive: str) -> list[str]:
        """The documents that may stand beside one positive, best first."""
        barred = frozenset(self.barred.get(query_id, {}).get(positive, ()))
        ranking = self.candidates.rankings.get(query_id, ())
        return [doc.doc_id for doc in ranking if doc.doc_id not in barred]

    def first_stage_scores(self, query_id: str, doc_ids: Sequence[str]) -> tuple[float, ...]:
        """Scores of positives and allowed documents of a query."""
        known = dict(self.candidates.rankings.get(query_id, ()))
        known.update(self.positives.rankings[query_id])
        return tuple(known[doc_id] for doc_id in doc_ids)

    def write(self, folder: Path) -> None:
        """Write the files of a pool; its counts are the manifest's business."""
        self.candidates.write(folder / POOL)
        self.positives.write(folder / POSITIVES)
        write_json(folder / BARRED, self.barred)

    @classmethod
    def read(cls, folder: Path) -> CandidatePool:
        """Read the folder of a mined artefact."""
        barred = json.loads((folder / BARRED).read_text(encoding="utf-8"))
        counts = read_manifest(folder)["counts"]
        return cls(_read(folder / POOL), _read(folder / POSITIVES), barred, counts)


def _read(path: Path) -> Run:
    return Run.read(path) if path.stat().st_size else Run("empty", {})
