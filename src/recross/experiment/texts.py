"""Texts for the reader of a result: some queries, and how the documents ranked for them begin."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence

from recross.collections.collection import Collection
from recross.records import JsonObject
from recross.runs import Run

TEXTS = "texts.json"
"""The file of an experiment that holds them."""

EXPLORED = 200
"""Queries of a test split whose texts are kept."""
SHOWN_DEPTH = 10
SNIPPET = 160
QUERY_LENGTH = 400


def sample_queries(query_ids: Iterable[str], size: int = EXPLORED) -> list[str]:
    """Some queries, drawn by a checksum: the same in every experiment, a smaller sample within."""
    return sorted(set(query_ids), key=lambda q: (zlib.crc32(q.encode()), q))[:size]


def choose_texts(runs: Sequence[Run], collection: Collection, split: str) -> JsonObject:
    """Texts of sampled judged queries, what is relevant to them, and snippets of documents.

    Snippets are the first ``SNIPPET`` characters of every document in the top ``SHOWN_DEPTH`` of a
    run, and of as many relevant ones. A judged document that the collection lacks has none.
    """
    qrels = collection.qrels(split)
    query_ids = sample_queries(qrels)
    relevant = {query_id: sorted(collection.relevant(split, query_id)) for query_id in query_ids}
    return {
        "queries": {
            query_id: cut_snippet(collection.queries[query_id], QUERY_LENGTH)
            for query_id in query_ids
        },
        "relevant": relevant,
        "documents": _cut_snippets(_list_shown(runs, relevant), collection.documents),
    }


def cut_snippet(text: str, length: int = SNIPPET) -> str:
    """How a text begins, on one line."""
    words = " ".join(text[: 4 * length].split())  # four times: spaces that are joined
    words = words.encode("utf-8", "replace").decode("utf-8")  # half a character cannot be written
    return words if len(words) <= length else words[: length - 1] + "…"


def _list_shown(runs: Sequence[Run], relevant: Mapping[str, Sequence[str]]) -> list[str]:
    shown = {doc_id for doc_ids in relevant.values() for doc_id in doc_ids[:SHOWN_DEPTH]}
    for run in runs:
        for query_id in relevant:
            shown |= {doc.doc_id for doc in run.rankings.get(query_id, ())[:SHOWN_DEPTH]}
    return sorted(shown)


def _cut_snippets(doc_ids: Iterable[str], documents: Mapping[str, str]) -> dict[str, str]:
    return {doc_id: cut_snippet(documents[doc_id]) for doc_id in doc_ids if doc_id in documents}
