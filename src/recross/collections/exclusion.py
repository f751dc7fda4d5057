"""Documents that are excluded for a query: named in files, or the query itself."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

from recross.collections.collection import Collection
from recross.collections.text_lines import IDS, is_json_file
from recross.errors import InputError
from recross.records import Excluded
from recross.text_files.json_records import parse_id, parse_record, read_id
from recross.text_files.lines import parse_lines
from recross.text_files.values import check_id

logger = logging.getLogger(__name__)
PAIRS_HEADER = "query-id"


def exclude_identical_ids(query_ids: Iterable[str]) -> Excluded:
    """Exclude for each query the document of its own id, as BEIR evaluates ArguAna."""
    return {query_id: frozenset((query_id,)) for query_id in query_ids}


def read_excluded(path: Path) -> Excluded:
    """Read a file of excluded documents.

    A line is query, tab, document, or a JSON object with ``_id`` and, where something is excluded,
    ``excluded_ids``, as in the queries of BRIGHT.

    Raises:
        InputError: the file is missing, or a line is malformed.
    """
    excluded: dict[str, set[str]] = {}
    parse = _parse_object if is_json_file(path) else _parse_pair
    for number, (_, (query_id, doc_ids)) in enumerate(parse_lines(path, parse)):
        if doc_ids and not (number == 0 and query_id == PAIRS_HEADER):
            excluded.setdefault(query_id, set()).update(doc_ids)
    return {query_id: frozenset(doc_ids) for query_id, doc_ids in excluded.items()}


def read_excluded_in_queries(path: Path) -> Excluded:
    """What a file of queries excludes: those in JSON lines can say it, tab-separated ones not."""
    return read_excluded(path) if is_json_file(path) else {}


def unite(*parts: Excluded) -> Excluded:
    """Exclude what any of these exclude."""
    united: dict[str, frozenset[str]] = {}
    for part in parts:
        for query_id, doc_ids in part.items():
            united[query_id] = united.get(query_id, frozenset()) | doc_ids
    return united


def exclude(collection: Collection, excluded: Excluded, ignore_identical_ids: bool) -> Collection:
    """The collection with these documents excluded and, where asked for, each query's own."""
    if ignore_identical_ids:
        excluded = unite(excluded, exclude_identical_ids(collection.queries))
    else:
        _warn_of_queries_in(collection, excluded)
    return collection.excluding(excluded) if excluded else collection


def _warn_of_queries_in(collection: Collection, excluded: Excluded) -> None:
    """Say it where queries would be found themselves: same id, and the text in the document's."""
    documents = collection.documents
    found = [
        query_id
        for query_id, text in collection.queries.items()
        if text
        and query_id in documents
        and text in documents[query_id]
        and query_id not in excluded.get(query_id, ())
    ]
    if found:
        logger.warning(
            "%s: %d queries are documents themselves, with the same id and text, such as %r;"
            " collection.ignore_identical_ids=true leaves each out of its own ranking",
            *(collection.name, len(found), found[0]),
        )


def _parse_object(line: str) -> tuple[str, list[str]]:
    record = parse_record(line)
    query_id = read_id(record, IDS)
    match record.get("excluded_ids"):
        case None:
            return query_id, []
        case list() as doc_ids:
            return query_id, [parse_id(doc_id, "an excluded id") for doc_id in doc_ids]
        case other:
            raise InputError(f"excluded_ids must be a list of ids, got {other!r:.60}")


def _parse_pair(line: str) -> tuple[str, list[str]]:
    columns = line.split("\t")
    if len(columns) != 2:
        raise InputError(f"expected query, tab, document, got {line[:40]!r}")
    return check_id(columns[0], "query"), [check_id(columns[1].strip(" "), "document")]
