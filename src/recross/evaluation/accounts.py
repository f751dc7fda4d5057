"""What became of every query: which were asked, ranked and judged; none is dropped silently."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass

from recross.records import Cost, Qrels, relevant_documents
from recross.runs import Run, count_tied_queries


@dataclass(frozen=True)
class QueryAccount:
    """The queries of a run beside those that are judged.

    Measures are means over all ``judged`` queries, as trec_eval's with ``-c``: those that are
    ``missing`` from the run score 0, and so do those ``without_relevant`` documents, whatever is
    found. The run's ``unjudged`` queries are not evaluated.
    """

    judged: int
    ranked: int
    missing: tuple[str, ...]
    unjudged: tuple[str, ...]
    without_relevant: tuple[str, ...]

    @classmethod
    def of(cls, run: Run, qrels: Qrels, relevant_from: int = 1) -> QueryAccount:
        """Compare a run with judgments; a query without documents counts as missing."""
        found = [query_id for query_id, ranking in run.rankings.items() if ranking]
        ranked = frozenset(found)
        return cls(
            judged=len(qrels),
            ranked=len(found),
            missing=tuple(query_id for query_id in qrels if query_id not in ranked),
            unjudged=tuple(query_id for query_id in found if query_id not in qrels),
            without_relevant=tuple(_list_hopeless(qrels, relevant_from)),
        )

    @property
    def oddities(self) -> Iterator[str]:
        """A sentence about each kind of query that a mean hides, with the first one's name."""
        told = (
            (self.missing, self.judged, "judged queries are not in the run and score 0"),
            (self.unjudged, self.ranked, "queries of the run have no judgments and are left out"),
            (self.without_relevant, self.judged, "judged queries have no relevant document"),
        )
        for query_ids, whole, what in told:
            if query_ids:
                yield f"{len(query_ids)} of {whole} {what}, such as {query_ids[0]!r}"


def account(
    run: Run,
    qrels: Qrels,
    query_ids: Sequence[str],
    depth: int,
    relevant_from: int = 1,
    documents: Container[str] | None = None,
) -> dict[str, int]:
    """Say what became of every query asked: none is dropped silently.

    ``judged`` are averaged over. Judgments that are ``negative`` count as not relevant;
    ``relevant_unknown`` are relevant documents that ``documents`` lacks, which nothing can find.
    """
    asked = frozenset(query_ids)
    judged = {query_id: qrels[query_id] for query_id in query_ids if query_id in qrels}
    relevant = [relevant_documents(judgments, relevant_from) for judgments in judged.values()]
    return {
        "asked": len(query_ids),
        "scored": sum(bool(run.rankings.get(query_id)) for query_id in query_ids),
        "judged": len(judged),
        "without_qrels": sum(query_id not in qrels for query_id in query_ids),
        "judged_not_asked": sum(query_id not in asked for query_id in qrels),
        "without_relevant": sum(not doc_ids for doc_ids in relevant),
        "short": sum(len(run.rankings.get(query_id, ())) < depth for query_id in query_ids),
        "tied": count_tied_queries(run),
        "negative_judgments": sum(
            grade < 0 for judgments in judged.values() for grade in judgments.values()
        ),
        "relevant_unknown": 0
        if documents is None
        else sum(doc_id not in documents for doc_ids in relevant for doc_id in doc_ids),
    }


def describe_truncation(cost: Cost) -> dict[str, float]:
    """How many queries and documents were cut, and the share of all tokens that was lost."""
    whole = cost.tokens + cost.kept_tokens + cost.cut_tokens
    return {
        "queries": cost.cut_queries,
        "documents": cost.cut_documents,
        "tokens_lost_share": cost.cut_tokens / whole if whole else 0.0,
    }


def _list_hopeless(qrels: Qrels, relevant_from: int) -> Iterator[str]:
    for query_id, judgments in qrels.items():
        if not relevant_documents(judgments, relevant_from):
            yield query_id
