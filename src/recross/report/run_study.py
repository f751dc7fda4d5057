"""Run files, evaluated, as a study: table, plot and page, without an experiment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from recross.collections.collection import Collection
from recross.evaluation.accounts import QueryAccount
from recross.evaluation.measures import Evaluation
from recross.evaluation.ties import TieRanges
from recross.experiment.texts import choose_texts, sample_queries
from recross.records import Json, Qrels, relevant_documents
from recross.report.page.exploration import GroupTexts, System
from recross.report.page.page import add_exploration, write_rendered
from recross.report.page.page_data import collect_rows, list_intervals, quote_command
from recross.report.plots import plot_measures
from recross.report.tables.latex import LatexStyle
from recross.report.tables.run_rows import make_run_rows
from recross.report.tables.table import write_table
from recross.runs import Run


@dataclass(frozen=True)
class RunStudy:
    """Runs by name, the first of which others are compared with, and what was found of each.

    ``collection`` has the texts for the page; without one it shows identifiers.
    """

    runs: Mapping[str, Run]
    evaluations: Mapping[str, Evaluation]
    ties: Mapping[str, TieRanges]
    accounts: Mapping[str, QueryAccount]
    qrels: Qrels
    relevant_from: int
    collection: Collection | None = None

    def write(self, folder: Path, style: LatexStyle = LatexStyle()) -> list[Path]:
        """Write everything of it into a folder; returns the paths."""
        from recross.machine.environment import read_command_line  # which imports torch

        name = folder.resolve().name
        on = self.collection.name if self.collection is not None else ""
        rows = make_run_rows(self.evaluations, self.ties, name, on)
        written = [*write_table(rows, folder, style), *plot_measures(rows, folder)]
        data: dict[str, Json] = {
            "studies": [name],
            "summary": self._summarise(on),
            **collect_rows(rows),
            "points": None,  # nothing was timed, and nothing trained
            "intervals": list_intervals(rows),
            "curves": None,
            "environment": {"shared": [], "columns": [], "own": [], "missing": 0},
            "commands": [
                {"command": quote_command(read_command_line()), "experiments": [*self.runs]}
            ],
        }
        texts = {_name_group(rows[0].measures): self.texts}
        page = add_exploration(data, self._list_systems(), texts)
        return [*written, write_rendered(page, folder)]

    @property
    def texts(self) -> GroupTexts:
        """What the page shows of queries and documents."""
        if self.collection is not None:
            known = {q: judged for q, judged in self.qrels.items() if q in self.collection.queries}
            judged = replace(
                self.collection,
                split_queries={"judged": tuple(known)},
                split_qrels={"judged": known},
                relevant_from=self.relevant_from,
            )
            return GroupTexts(**choose_texts([*self.runs.values()], judged, "judged"))
        sample = sample_queries(self.qrels)
        found = {q: sorted(relevant_documents(self.qrels[q], self.relevant_from)) for q in sample}
        return GroupTexts({}, found, {})

    def _summarise(self, collection: str) -> list[str]:
        judged = max(account.judged for account in self.accounts.values())
        first = next(iter(next(iter(self.evaluations.values())).per_query))
        named = f"collection {collection}" if collection else ""
        counts = [f"{len(self.runs)} runs", f"{judged:,} judged queries"]
        return [*counts, named, f"first measure {first}"]

    def _list_systems(self) -> list[System]:
        names = [*self.runs]
        values = {name: next(iter(of.per_query.values())) for name, of in self.evaluations.items()}
        group = _name_group(self.evaluations[names[0]].per_query)
        kinds = ["first stage", *("run" for _ in names[1:])]
        return [
            System(name, kind, names[0], group, values[name], self.runs[name])
            for name, kind in zip(names, kinds, strict=True)
        ]


def _name_group(measures: Mapping[str, object]) -> str:
    return json.dumps([None, next(iter(measures))])
