"""A teacher's rankings as a TREC run, to distil lists from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from recross.errors import InputError
from recross.parts.bounds import checked
from recross.records import Qrels, ScoredDoc, relevant_documents
from recross.runs import Run
from recross.text_files.trec import RunLine, parse_run_line, read_qrels
from recross.training.data.files.examples import Example
from recross.training.data.files.line_groups import read_groups_by_id
from recross.training.data.files.lines import TextFile
from recross.training.data.phases import Phase
from recross.training.data.training_data import Task


@dataclass(frozen=True)
@checked
class TeacherRun:
    """The scores of a TREC run, such as a large re-ranker's, as those of a teacher.

    Each relevant document that the run ranks becomes a group with the best-ranked documents that
    are not relevant, as many as ``training.negatives_per_positive``. Judgments are those of
    ``qrels``, or else of the collection's training split. Without judgments (``is_judged`` false) a
    query becomes one group of as many of its best-ranked documents, all labelled 0: ranks are no
    labels, and only losses that learn from the teacher have something to learn.
    """

    path: Path
    qrels: Path | None = None
    is_judged: bool = True
    negatives: ClassVar[None] = None
    reads_judgments: ClassVar[bool] = False
    may_be_taught: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.qrels is not None and not self.is_judged:
            raise InputError(
                f"qrels must be null where is_judged is false, got {str(self.qrels)!r}"
            )

    def make_phases(self, task: Task) -> list[Phase]:
        """The groups of the run, which brings its own negatives."""
        relevant_from = task.collection.relevant_grade(task.split)
        form = RunLines(self._judgments(task), relevant_from, task.negatives)
        return read_groups_by_id(self, TextFile.at(self.path, task.store), form, task)

    def _judgments(self, task: Task) -> Qrels | None:
        if not self.is_judged:
            return None
        return task.collection.qrels(task.split) if self.qrels is None else read_qrels(self.qrels)


@dataclass(frozen=True)
class RunLines:
    """All lines of a query together are its ranking; the order is that of the scores."""

    qrels: Qrels | None
    relevant_from: int
    negatives: int
    keeps_queries_together: ClassVar[bool] = True

    def parse(self, line: str) -> RunLine:
        """Read the query, the document and the score of a line of a run."""
        return parse_run_line(line)

    def joins(self, lines: Sequence[RunLine], line: RunLine) -> bool:
        """Whether a line ranks a document for the query of those before it."""
        return lines[0].query_id == line.query_id

    def examples(self, lines: Sequence[RunLine]) -> list[Example]:
        """One for each relevant document; without judgments, one."""
        query = lines[0].query_id
        scores = {line.doc_id: line.score for line in lines}
        if len(scores) < len(lines):
            raise InputError(f"a document must be ranked once, got one twice for {query!r}")
        ranking = Run.from_scores("teacher", {query: scores}).rankings[query]
        if self.qrels is None:
            return [_make_example(query, ranking[: 1 + self.negatives], 0.0)]
        judged = self.qrels.get(query, {})
        relevant = relevant_documents(judged, self.relevant_from)
        others = [doc for doc in ranking if doc.doc_id not in relevant][: self.negatives]
        return [
            _make_example(query, [doc, *others], float(judged[doc.doc_id]))
            for doc in ranking
            if doc.doc_id in relevant
        ]


def _make_example(query: str, docs: Sequence[ScoredDoc], label: float) -> Example:
    doc_ids, scores = zip(*docs, strict=True)
    return Example(query, doc_ids, (label, *(0.0 for _ in docs[1:])), scores)
