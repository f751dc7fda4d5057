"""Pairs of documents that a dataset of ir_datasets offers to train from."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated, ClassVar

from recross.collections.ir_datasets import read_document_pairs
from recross.parts.bounds import Ge, checked
from recross.records import JsonObject
from recross.training.data.files.line_groups import read_groups_by_id
from recross.training.data.files.lines import TEXT, TextFile
from recross.training.data.files.triples import TripleLines, parse_triple
from recross.training.data.phases import Phase
from recross.training.data.training_data import Task


@dataclass(frozen=True)
@checked
class DocPairs:
    """The ``docpairs`` of an ir_datasets id, such as ``msmarco-passage/train/triples-small``.

    They are copied into the store once, ids only, ``limit`` of them or all: ir_datasets has no way
    to the pair of a number. Up to ``lines_per_group`` consecutive pairs of one query and positive
    become one group.
    """

    dataset: str
    limit: Annotated[int, Ge(1)] | None = None
    lines_per_group: Annotated[int, Ge(1)] = 1
    negatives: ClassVar[None] = None
    reads_judgments: ClassVar[bool] = False
    may_be_taught: ClassVar[bool] = False

    def make_phases(self, task: Task) -> list[Phase]:
        """The groups of the dataset, which brings its own negatives."""
        identity = {"docpairs": self.dataset, "limit": self.limit}
        folder = task.store.artefact("lines", identity, lambda folder: self._copy(folder / TEXT))
        file = TextFile(f"docpairs of {self.dataset}", folder / TEXT)
        return read_groups_by_id(self, file, TripleLines(parse_triple, self.lines_per_group), task)

    def _copy(self, path: Path) -> JsonObject:
        count = 0
        with path.open("w", encoding="utf-8") as lines:
            for pair in islice(read_document_pairs(self.dataset), self.limit):
                lines.write("\t".join(pair) + "\n")
                count += 1
        return {"pairs": count}
