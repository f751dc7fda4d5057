"""Collections of ir_datasets by id; the only home of that package."""

from __future__ import annotations

import logging
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import ir_datasets
from ir_datasets.formats import GenericDoc
from ir_datasets.indices import Docstore
from ir_datasets.util import HashVerificationError

from recross.collections.collection import Collection
from recross.collections.exclusion import exclude_identical_ids
from recross.errors import InputError
from recross.parts.bounds import Filled, Ge, checked
from recross.parts.identity import fingerprint
from recross.records import Qrels
from recross.text_files.values import check_grade, check_id

logger = logging.getLogger(__name__)
DAMAGED = (tarfile.TarError, zipfile.BadZipFile, zlib.error, UnicodeDecodeError)


class DocstoreDocuments(Mapping[str, str]):
    """The documents of a dataset, read from its docstore when asked for, never all in memory."""

    def __init__(self, dataset: ir_datasets.Dataset) -> None:
        self._dataset = dataset

    @cached_property
    def _docstore(self) -> Docstore:
        return self._dataset.docs_store()

    def _get(self, doc_id: object) -> GenericDoc:
        with _explain_missing_files(
            self._dataset
        ):  # the first document asked for may be a download
            return self._docstore.get(doc_id)

    def __getitem__(self, doc_id: str) -> str:
        return str(self._get(doc_id).default_text())

    def __contains__(self, doc_id: object) -> bool:
        try:
            self._get(doc_id)
        except KeyError:
            return False
        return True

    def __iter__(self) -> Iterator[str]:
        for doc_id, _ in self.items():
            yield doc_id

    def __len__(self) -> int:
        with _explain_missing_files(self._dataset):
            return int(self._dataset.docs_count())

    def items(self) -> Any:
        """Pairs in the dataset's own order, in one pass over its file."""
        name = f"doc_id of {self._dataset.dataset_id()!r}"
        with _explain_missing_files(self._dataset):
            for document in self._dataset.docs_iter():
                yield check_id(document.doc_id, name), str(document.default_text())


@dataclass(frozen=True)
@checked
class IrDatasets:
    """One dataset id per split, all over the same documents.

    ``relevant_from`` is the smallest grade that counts as relevant, of all splits or by split. With
    ``ignore_identical_ids`` the document of a query's own id is excluded for it.
    """

    splits: Annotated[dict[str, str], Filled("name at least one dataset")]
    relevant_from: Annotated[int, Ge(1)] | dict[str, Annotated[int, Ge(1)]] = 1
    name: str | None = field(default=None, compare=False)
    ignore_identical_ids: bool = False

    def list_splits(self) -> list[str]:
        """The splits that have a dataset."""
        return list(self.splits)

    def load(self) -> Collection:
        """Look the datasets up; queries and judgments are read, documents stay on disk.

        Raises:
            InputError: an id is unknown to ir_datasets, or its files cannot be had.
        """
        datasets = {split: _load_dataset(dataset_id) for split, dataset_id in self.splits.items()}
        first = next(iter(datasets.values()))
        queries: dict[str, str] = {}
        instructions: dict[str, str] = {}
        split_queries, split_qrels = {}, {}
        for split, dataset in datasets.items():
            queries_of_split, qrels = _read(dataset)
            queries |= queries_of_split
            instructions |= _read_instructions(dataset)
            split_queries[split], split_qrels[split] = tuple(queries_of_split), qrels
        collection = Collection(
            name=self.name or next(iter(self.splits.values())),
            documents=DocstoreDocuments(first),
            queries=queries,
            split_queries=split_queries,
            split_qrels=split_qrels,
            fingerprint=fingerprint(
                replace(self, ignore_identical_ids=False), ir_datasets.__version__
            ),
            relevant_from=self.relevant_from,
            instructions=instructions,
        )
        if not self.ignore_identical_ids:
            return collection
        return collection.excluding(exclude_identical_ids(queries))


def read_document_pairs(dataset_id: str) -> Iterator[tuple[str, str, str]]:
    """Ids of a query, its more relevant and its less relevant document, in the dataset's order.

    Raises:
        InputError: the id is unknown, the dataset has no pairs, or its files cannot be had.
    """
    dataset = _load_dataset(dataset_id, "training_data.dataset")
    if not dataset.has_docpairs():
        raise InputError(
            f"training_data.dataset must be one with docpairs, got {dataset_id!r}, which has none"
        )
    with _explain_missing_files(dataset):
        for pair in dataset.docpairs_iter():
            yield pair.query_id, pair.doc_id_a, pair.doc_id_b


def find_asked_queries(dataset_id: str, query_ids: AbstractSet[str]) -> frozenset[str]:
    """Which of these queries the dataset asks.

    Raises:
        InputError: the id is unknown, or its files cannot be had.
    """
    dataset = _load_dataset(dataset_id, "retriever.datasets")
    with _explain_missing_files(dataset):
        return frozenset(query.query_id for query in dataset.queries_iter()) & query_ids


def read_scored_documents(
    dataset_id: str, query_ids: AbstractSet[str]
) -> dict[str, Mapping[str, float]]:
    """The dataset's own candidates of these queries: query -> document -> score.

    Raises:
        InputError: the id is unknown, the dataset has no candidates, or its files cannot be had.
    """
    dataset = _load_dataset(dataset_id, "retriever.datasets")
    if not dataset.has_scoreddocs():
        raise InputError(
            f"retriever.datasets must have candidates of their own, got {dataset_id!r}, which has"
            " none"
        )
    scores: dict[str, dict[str, float]] = {}
    with _explain_missing_files(dataset):
        for line in dataset.scoreddocs_iter():
            if line.query_id in query_ids:
                scores.setdefault(line.query_id, {})[line.doc_id] = float(line.score)
    return dict(scores)


def _load_dataset(dataset_id: str, argument: str = "collection.splits") -> ir_datasets.Dataset:
    try:
        return ir_datasets.load(dataset_id)
    except KeyError:
        raise InputError(
            f"{argument} must name ids of ir_datasets (https://ir-datasets.com), got {dataset_id!r}"
        ) from None


def _read(dataset: ir_datasets.Dataset) -> tuple[dict[str, str], Qrels]:
    qrels: dict[str, dict[str, int]] = {}
    changed, name = 0, f"query_id of {dataset.dataset_id()!r}"
    with _explain_missing_files(dataset):
        queries = {check_id(q.query_id, name): q.default_text() for q in dataset.queries_iter()}
        for judgment in dataset.qrels_iter():
            judged = qrels.setdefault(judgment.query_id, {})
            grade = check_grade(int(judgment.relevance))
            changed += judged.setdefault(judgment.doc_id, grade) != grade
            judged[judgment.doc_id] = grade
    if changed:
        said = "%s: %d judgments contradict earlier ones of a document; the last ones count"
        logger.warning(said, dataset.dataset_id(), changed)
    return queries, qrels


def _read_instructions(dataset: ir_datasets.Dataset) -> dict[str, str]:
    """What is wanted of each query, in datasets whose queries say so."""
    if "instruction" not in dataset.queries_cls()._fields:
        return {}
    with _explain_missing_files(dataset):
        return {query.query_id: query.instruction for query in dataset.queries_iter()}


@contextmanager
def _explain_missing_files(dataset: ir_datasets.Dataset) -> Iterator[None]:
    """Read the files of a dataset; say what to do where they cannot be had."""
    try:
        yield
    except (OSError, RuntimeError, EOFError, *DAMAGED) as error:
        folder = ir_datasets.util.home_path() / str(dataset.dataset_id()).partition("/")[0]
        raise InputError(
            f"the files of {dataset.dataset_id()!r} cannot be had: {_advise(error, folder)}"
        ) from None
    except ImportError as error:  # ir_datasets imports what reads some formats when it is needed
        raise InputError(f"the files of {dataset.dataset_id()!r} cannot be read: {error}") from None


def _advise(error: BaseException, folder: Path) -> str:
    """What happened, and what can be done about it."""
    causes = list(_causes(error))
    message = f"{type(causes[-1]).__name__}: {causes[-1]}"
    if any(isinstance(cause, HashVerificationError) for cause in causes):
        return (
            f"a download does not have the content that ir_datasets expects ({message}); it broke"
            " off, the file has moved, or a proxy answered: run the same command again, or place"
            f" the files under {folder} yourself"
        )
    if isinstance(causes[-1], (EOFError, *DAMAGED)):
        return (
            f"a file is damaged ({message}); delete it under {folder} and run the same command"
            " again"
        )
    return (
        f"{message}; check the network and run the same command again, or place the files under"
        f" {folder} ($IR_DATASETS_HOME chooses the folder above), named as ir_datasets names them"
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error, and those of all mirrors that ir_datasets tried."""
    yield error
    for argument in error.args[1:]:
        match argument:
            case list():
                yield from (cause for _, cause in argument)
