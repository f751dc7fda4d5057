"""Collections of ir_datasets by id; the only home of that package."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import ir_datasets

from recross.collection import Collection
from recross.errors import InputError
from recross.records import Qrels
from recross.store import fingerprint


class DocstoreDocuments(Mapping[str, str]):
    """The documents of a dataset, read from its docstore when asked for, never all in memory."""

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset

    @cached_property
    def _docstore(self) -> Any:
        return self._dataset.docs_store()

    def __getitem__(self, doc_id: str) -> str:
        return _text(self._docstore.get(doc_id))

    def __contains__(self, doc_id: object) -> bool:
        try:
            self._docstore.get(doc_id)
        except KeyError:
            return False
        return True

    def __iter__(self) -> Iterator[str]:
        for document in self._dataset.docs_iter():
            yield document.doc_id

    def __len__(self) -> int:
        return int(self._dataset.docs_count())

    def items(self) -> Any:
        """Pairs in the dataset's own order, in one pass over its file."""
        return ((document.doc_id, _text(document)) for document in self._dataset.docs_iter())


@dataclass(frozen=True)
class IrDatasets:
    """One dataset id per split, all over the same documents.

    ``relevant_from`` is the smallest grade that counts as relevant in binary measures.
    """

    splits: dict[str, str]
    relevant_from: int = 1
    name: str | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if not self.splits:
            raise InputError("splits must name at least one dataset, got none")

    def load(self) -> Collection:
        """Look the datasets up; queries and judgments are read, documents stay on disk.

        Raises:
            InputError: an id is unknown to ir_datasets, or its files cannot be had.
        """
        datasets = {split: _dataset(dataset_id) for split, dataset_id in self.splits.items()}
        first = next(iter(datasets.values()))
        queries: dict[str, str] = {}
        split_queries, split_qrels = {}, {}
        for split, dataset in datasets.items():
            own = _read(dataset)
            queries |= own[0]
            split_queries[split], split_qrels[split] = tuple(own[0]), own[1]
        return Collection(
            name=self.name or next(iter(self.splits.values())),
            documents=DocstoreDocuments(first),
            queries=queries,
            split_queries=split_queries,
            split_qrels=split_qrels,
            fingerprint=fingerprint(self, ir_datasets.__version__),
            relevant_from=self.relevant_from,
        )


def document_pairs(dataset_id: str) -> Iterator[tuple[str, str, str]]:
    """Ids of a query, its more relevant and its less relevant document, in the dataset's order.

    Raises:
        InputError: the id is unknown, the dataset has no pairs, or its files cannot be had.
    """
    dataset = _dataset(dataset_id, "training_data.dataset")
    if not dataset.has_docpairs():
        raise InputError(
            f"training_data.dataset must be one with docpairs, got {dataset_id!r}, which has none"
        )
    with _files_of(dataset):
        for pair in dataset.docpairs_iter():
            yield pair.query_id, pair.doc_id_a, pair.doc_id_b


def _dataset(dataset_id: str, argument: str = "collection.splits") -> Any:
    try:
        return ir_datasets.load(dataset_id)
    except KeyError:
        raise InputError(
            f"{argument} must name ids of ir_datasets (https://ir-datasets.com), got {dataset_id!r}"
        ) from None


def _read(dataset: Any) -> tuple[dict[str, str], Qrels]:
    with _files_of(dataset):
        queries = {query.query_id: query.default_text() for query in dataset.queries_iter()}
        qrels: dict[str, dict[str, int]] = {}
        for judgment in dataset.qrels_iter():
            qrels.setdefault(judgment.query_id, {})[judgment.doc_id] = int(judgment.relevance)
    return queries, qrels


@contextmanager
def _files_of(dataset: Any) -> Iterator[None]:
    """Read the files of a dataset; say what to do where they cannot be had."""
    try:
        yield
    except (OSError, RuntimeError, EOFError) as error:
        raise InputError(
            f"the files of {dataset.dataset_id()!r} cannot be had ({error});"
            " place them under ~/.ir_datasets (or $IR_DATASETS_HOME) or check the network"
        ) from None


def _text(document: Any) -> str:
    return str(document.default_text())
