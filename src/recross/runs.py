"""A run: for every query, its documents in the order a system ranked them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path

import numpy as np

from recross.errors import InputError
from recross.records import Cost, Excluded, Ranking, ScoredDoc
from recross.text_files.lines import parse_lines
from recross.text_files.trec import RunLine, parse_run_line, say_repeated
from recross.text_files.values import check_id, make_fit, split_fields
from recross.writing.whole_files import write_lines_whole

TAIL_STEP = 1 / 1024
LOWEST_ABOVE_TAIL = -1e38
"""Below it a tail could leave the range of single precision."""


@dataclass(frozen=True)
class Run:
    """Ranked documents per query, best first; ties fall to the larger ``doc_id``, as in trec_eval.

    One type serves before and after re-ranking: what a retriever returns and what a
    reranker returns differ only in their scores. Scores are held in single precision, the
    precision in which trec_eval compares, so that every reader of a run file sees one order.
    ``left_out`` counts the documents that were taken out because they are excluded, ``planted``
    those that were added because they are relevant.
    """

    name: str
    rankings: Mapping[str, Sequence[ScoredDoc]]
    cost: Cost = field(default=Cost(), compare=False)
    left_out: int = field(default=0, compare=False)
    planted: int = field(default=0, compare=False)

    @classmethod
    def from_scores(
        cls, name: str, scores: Mapping[str, Mapping[str, float]], cost: Cost = Cost()
    ) -> Run:
        """Rank each query's documents by descending score.

        Raises:
            InputError: a score is not a finite number.
        """
        return cls.of_each(name, scores.items(), cost)

    @classmethod
    def of_each(
        cls, name: str, scores: Iterable[tuple[str, Mapping[str, float]]], cost: Cost = Cost()
    ) -> Run:
        """Rank the documents of one query after the other, as ``from_scores`` does.

        Raises:
            InputError: a score is not a finite number.
        """
        return cls(name, {query_id: Ranking.of_scores(query_id, d) for query_id, d in scores}, cost)

    @classmethod
    def read(cls, path: str | Path, query_ids: Collection[str] | None = None) -> Run:
        """Read a TREC run file: query, ``Q0``, document, rank, score, tag; these queries, or all.

        The order is that of the scores; the rank column is not trusted, as in trec_eval. A line
        that stands twice counts once, which is said.

        Raises:
            InputError: the file is missing or empty, a line is malformed (its number is named), or
                a document has two scores for a query.
        """
        path = Path(path)
        rankings: dict[str, Sequence[ScoredDoc]] = {}
        scattered: dict[str, dict[str, float]] = {}  # of queries whose lines stand apart
        tag, lines = path.stem, 0
        for query_id, together in groupby(_read_run_lines(path, query_ids), _name_query):
            if query_id in rankings and query_id not in scattered:
                scattered[query_id] = dict(rankings[query_id])
            scores = scattered.get(query_id, {})
            for line in together:
                tag, lines = line.tag, lines + 1
                if not _is_same(scores.setdefault(line.doc_id, line.score), line.score):
                    raise InputError(_say_second_score(path, line))
            if query_id not in scattered:
                rankings[query_id] = Ranking.of_scores(query_id, scores)
        rankings |= {query_id: Ranking.of_scores(query_id, d) for query_id, d in scattered.items()}
        if not rankings and query_ids is None:
            raise InputError(f"run file must hold at least one line, got {str(path)!r}")
        say_repeated(path, lines - sum(map(len, rankings.values())), "lines of a run")
        return cls(tag, rankings)

    def write(self, path: str | Path) -> None:
        """Write a TREC run file; the file appears whole or not at all.

        Raises:
            InputError: an id could not be read back, such as one with a blank in it.
        """
        write_lines_whole(Path(path), self._format_lines())

    def _format_lines(self) -> Iterator[str]:
        tag = make_fit(self.name) or "run"
        for query_id, ranking in self.rankings.items():
            check_id(query_id, "query")
            for rank, (doc_id, score) in enumerate(ranking, start=1):
                check_id(doc_id, "document")
                yield f"{query_id} Q0 {doc_id} {rank} {np.float32(score)} {tag}\n"

    def cut(self, depth: int) -> Run:
        """Keep the best ``depth`` documents of each query."""
        if depth < 1:
            raise InputError(f"depth must be at least 1, got {depth}")
        return replace(self, rankings={q: r[:depth] for q, r in self.rankings.items()})

    def restrict(self, query_ids: Iterable[str]) -> Run:
        """Keep these queries, in this order; a query the run does not know gets no documents."""
        return replace(self, rankings={q: self.rankings.get(q, ()) for q in query_ids})

    def without(self, excluded: Excluded) -> Run:
        """Leave out of each query's ranking what is excluded for it."""
        rankings = {
            query_id: Ranking.of(doc for doc in ranking if doc.doc_id not in barred)
            for query_id, ranking in self.rankings.items()
            if (barred := excluded.get(query_id))
        }
        gone = sum(len(self.rankings[q]) - len(ranking) for q, ranking in rankings.items())
        if not gone:
            return self
        return replace(self, rankings={**self.rankings, **rankings}, left_out=self.left_out + gone)

    def with_tail(self, candidates: Run) -> Run:
        """Add below each ranking the candidates that it lacks, in the order they have there.

        Their scores lie strictly below the ranking's lowest, each below the one before, also in
        single precision; they say nothing else. A query that has no ranking here keeps its
        candidates as they are.

        Raises:
            InputError: a ranking holds a document that is no candidate, or no score fits below it.
        """
        rankings = {}
        for query_id, given in candidates.rankings.items():
            head = self.rankings.get(query_id, ())
            ranked = {doc.doc_id for doc in head}
            rest = [doc.doc_id for doc in given if doc.doc_id not in ranked]
            if len(head) + len(rest) != len(given):
                raise InputError(
                    f"a ranking must hold candidates only, each once; for {query_id!r}"
                    f" {len(head)} ranked and {len(rest)} left of {len(given)}"
                )
            tail = _make_tail(head[-1].score, rest) if head else given
            rankings[query_id] = Ranking.of([*head, *tail])
        return replace(self, rankings=rankings)

    def doc_ids(self, query_id: str) -> list[str]:
        """One query's documents, best first."""
        return [doc.doc_id for doc in self.rankings[query_id]]

    def __len__(self) -> int:
        return len(self.rankings)


def count_tied_queries(run: Run) -> int:
    """Queries in which at least two documents share a score."""
    return sum(
        len({doc.score for doc in ranking}) < len(ranking) for ranking in run.rankings.values()
    )


def _make_tail(lowest: float, doc_ids: Sequence[str]) -> Sequence[ScoredDoc]:
    """Documents below a score, in this order."""
    if doc_ids and lowest < LOWEST_ABOVE_TAIL:
        raise InputError(f"scores must be at least {LOWEST_ABOVE_TAIL} above a tail, got {lowest}")
    # Rounding moves a score by half the spacing, and the spacing doubles once at most on the way
    # down (to a depth of a million): with four spacings apart, neighbours stay apart.
    step = max(TAIL_STEP, 4 * float(np.spacing(np.float32(abs(lowest)))))
    scores = lowest - step * np.arange(1, len(doc_ids) + 1)
    return Ranking(doc_ids, scores.astype(np.float32))


def _name_query(line: RunLine) -> str:
    return line.query_id


def _is_same(one: float, other: float) -> bool:
    """Whether scores are equal in single precision, in which they are held."""
    return one == other or bool(np.float32(one) == np.float32(other))


def _read_run_lines(path: Path, query_ids: Collection[str] | None) -> Iterator[RunLine]:
    """The lines of these queries, or all; of others only the first field is read."""
    wanted = None if query_ids is None else set(query_ids)

    def parse(line: str) -> RunLine | None:
        is_wanted = wanted is None or split_fields(line)[0] in wanted
        return parse_run_line(line) if is_wanted else None

    return (found for _, found in parse_lines(path, parse, "run file") if found is not None)


def _say_second_score(path: Path, line: RunLine) -> str:
    """What is wrong where a document is ranked twice, with both lines."""
    numbers = [
        (found.number, parsed.score)
        for found, parsed in parse_lines(path, parse_run_line)
        if parsed[:2] == line[:2]
    ]
    first, before = numbers[0]
    second = next(number for number, score in numbers if score != before)
    return (
        f"{path}:{second}: document {line.doc_id!r} twice for {line.query_id!r},"
        f" with the score {line.score} and, in line {first}, {before}"
    )
