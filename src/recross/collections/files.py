"""Collections on disk: a BEIR folder, or TREC files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from recross.collections.collection import Collection
from recross.collections.exclusion import (
    exclude,
    read_excluded,
    read_excluded_in_queries,
    unite,
)
from recross.collections.large_files import read_documents
from recross.collections.text_lines import read_instructions, read_text_file
from recross.errors import InputError
from recross.parts.bounds import Ge, checked
from recross.parts.identity import handed_over
from recross.records import Qrels
from recross.store import DEFAULT_STORE, hash_files
from recross.text_files.trec import read_qrels
from recross.text_files.values import check_id
from recross.writing.whole_files import write_lines_whole, write_whole

EXCLUDED = "excluded.tsv"


@dataclass(frozen=True)
@checked
class BeirFolder:
    """A folder in BEIR layout: ``corpus.jsonl``, ``queries.jsonl``, ``qrels/<split>.tsv``.

    A document's text is its title, a blank, its text; empty parts are left out. ``relevant_from``
    is the smallest grade that counts as relevant, of all splits or by split. What is wanted of some
    queries stands as ``instruction`` in their lines, or as ``id<TAB>instruction`` in
    ``instructions.tsv``. Excluded are the documents that ``excluded.tsv`` names where the folder
    has it, or a query's ``excluded_ids``, and, with ``ignore_identical_ids``, that of its own id.
    The documents of a large file stay on disk, in the store.
    """

    folder: Path
    relevant_from: Annotated[int, Ge(1)] | dict[str, Annotated[int, Ge(1)]] = 1
    ignore_identical_ids: bool = False
    store: Path = handed_over(DEFAULT_STORE)

    def list_splits(self) -> list[str]:
        """The splits that have a file of judgments."""
        return [path.stem for path in sorted((self.folder / "qrels").glob("*.tsv"))]

    def load(self) -> Collection:
        """Read the folder.

        Raises:
            InputError: a file is missing, empty or malformed, or a judgment names an unknown query.
        """
        if not self.folder.is_dir():
            raise InputError(f"collection.folder must be a folder, got {str(self.folder)!r}")
        corpus, topics = self.folder / "corpus.jsonl", self.folder / "queries.jsonl"
        judgment_files = sorted((self.folder / "qrels").glob("*.tsv"))
        if not judgment_files:
            raise InputError(f"{self.folder / 'qrels'} must hold at least one .tsv file, got none")
        instructions = [self.folder / "instructions.tsv"]
        told = [path for path in instructions if path.is_file()]
        found = _collection(
            self.folder.name,
            read_documents(corpus, self.store),
            read_text_file(topics),
            {path.stem: read_qrels(path) for path in judgment_files},
            hash_files(corpus, topics, *judgment_files, *told),
            self.relevant_from,
        )
        found = replace(found, instructions=read_instructions(topics, told, found.queries))
        named = self.folder / EXCLUDED
        excluded = read_excluded(named) if named.is_file() else {}
        excluded = unite(excluded, read_excluded_in_queries(topics))
        return exclude(found, excluded, self.ignore_identical_ids)


@dataclass(frozen=True)
@checked
class TrecFiles:
    """Separate files: texts as ``id<TAB>text`` or JSON lines, TREC qrels by split.

    ``relevant_from`` is the smallest grade that counts as relevant, of all splits or by split. What
    is wanted of some queries stands as ``instruction`` in their JSON lines, or in the file
    ``instructions`` as ``id<TAB>instruction``.
    Excluded are the documents that the file ``excluded`` names (``query<TAB>document``, or JSON
    lines with ``excluded_ids``), or the queries' own JSON lines, and, with
    ``ignore_identical_ids``, the document of the query's own id. The documents of a large file stay
    on disk, in the store.
    """

    documents: Path
    queries: Path
    qrels: dict[str, Path]
    name: str = "files"
    relevant_from: Annotated[int, Ge(1)] | dict[str, Annotated[int, Ge(1)]] = 1
    instructions: Path | None = None
    excluded: Path | None = None
    ignore_identical_ids: bool = False
    store: Path = handed_over(DEFAULT_STORE)

    def list_splits(self) -> list[str]:
        """The splits whose judgments are named."""
        return list(self.qrels)

    def load(self) -> Collection:
        """Read the files.

        Raises:
            InputError: a file is missing, empty or malformed, or a judgment names an unknown query.
        """
        told = [self.instructions] if self.instructions else []
        collection = _collection(
            self.name,
            read_documents(self.documents, self.store),
            read_text_file(self.queries),
            {split: read_qrels(path) for split, path in self.qrels.items()},
            hash_files(self.documents, self.queries, *self.qrels.values(), *told),
            self.relevant_from,
        )
        instructions = read_instructions(self.queries, told, collection.queries)
        collection = replace(collection, instructions=instructions)
        excluded = read_excluded(self.excluded) if self.excluded else {}
        excluded = unite(excluded, read_excluded_in_queries(self.queries))
        return exclude(collection, excluded, self.ignore_identical_ids)


def write_beir(folder: Path, collection: Collection) -> None:
    """Write a collection as a BEIR folder.

    Raises:
        InputError: an id could not be read back, such as one with a blank in it.
    """
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    _write_jsonl(folder / "corpus.jsonl", collection.documents)
    _write_jsonl(folder / "queries.jsonl", collection.queries, collection.instructions)
    for split, qrels in collection.split_qrels.items():
        rows = [
            f"{q}\t{d}\t{grade}\n" for q, judged in qrels.items() for d, grade in judged.items()
        ]
        text = "query-id\tcorpus-id\tscore\n" + "".join(rows)
        write_whole(folder / "qrels" / f"{split}.tsv", text)
    if collection.excluded:
        pairs = [
            (q, doc_id) for q, barred in collection.excluded.items() for doc_id in sorted(barred)
        ]
        text = "query-id\tcorpus-id\n" + "".join(f"{q}\t{doc_id}\n" for q, doc_id in pairs)
        write_whole(folder / EXCLUDED, text)


def _write_jsonl(
    path: Path, texts: Mapping[str, str], instructions: Mapping[str, str] | None = None
) -> None:
    told = {identifier: {"instruction": text} for identifier, text in (instructions or {}).items()}
    records = (
        {"_id": check_id(identifier), "text": text, **told.get(identifier, {})}
        for identifier, text in texts.items()
    )
    write_lines_whole(path, (json.dumps(record, ensure_ascii=False) + "\n" for record in records))


def _collection(
    name: str,
    documents: Mapping[str, str],
    queries: Mapping[str, str],
    split_qrels: Mapping[str, Qrels],
    content: str,
    relevant_from: int | Mapping[str, int],
) -> Collection:
    for split, qrels in split_qrels.items():
        if unknown := [query_id for query_id in qrels if query_id not in queries]:
            raise InputError(
                f"qrels of {split!r} must name known queries, got {unknown[0]!r}"
                f" ({len(unknown)} unknown of {len(qrels)})"
            )
    return Collection(
        name=name,
        documents=documents,
        queries=queries,
        split_queries={split: tuple(qrels) for split, qrels in split_qrels.items()},
        split_qrels=split_qrels,
        fingerprint=content,
        relevant_from=relevant_from,
    )
