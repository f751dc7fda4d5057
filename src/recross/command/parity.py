"""Whether a served model gives the scores that a local one gives, and which template it has if not.

Scores of a wrong template, read-out or model look plausible; ten pairs tell.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

from recross.checkpoints.contracts import PromptContract
from recross.checkpoints.other_prompts import list_other_prompts
from recross.command.building import build
from recross.command.composition import compose_values
from recross.command.golden import shorten
from recross.command.loading import load_reranker
from recross.errors import InputError
from recross.evaluation.agreement import Agreement, compare_scores
from recross.inference.items import Scores
from recross.rerankers.causal import CausalReranker
from recross.rerankers.reranker import NetworkReranker
from recross.rerankers.t5 import T5Reranker
from recross.text_files.csv_lines import read_csv_lines
from recross.writing.alignment import align_table

PAIR_COLUMNS = ("query", "document")
QUERIES = 5
"""Queries of the built-in pairs, with a document of their own and one of another each."""

_Pair = tuple[str, str]


@runtime_checkable
class ScoresPairs(Protocol):
    """A re-ranker that scores a document without others."""

    @property
    def name(self) -> str:
        """A short name."""

    def predict(self, pairs: Sequence[_Pair]) -> Scores:
        """Score (query, document) pairs, ``(B,)``."""


class Candidate(NamedTuple):
    """Another way to ask the local model, and how near its scores come then."""

    asked: str
    agreement: Agreement


class Parity(NamedTuple):
    """What was found: the scores of both, how they agree, and, if not, what else was tried."""

    names: tuple[str, str]
    """Ours, which is local, and theirs."""
    pairs: Sequence[_Pair]
    ours: Scores
    theirs: Scores
    agreement: Agreement
    candidates: Sequence[Candidate]


def parse_and_probe(words: Sequence[str]) -> Parity:
    """Compare what the words of a command name.

    Raises:
        InputError: a word is wrong, or there is nothing to compare.
        EndpointError: the server gave no scores.
    """
    parser = argparse.ArgumentParser(prog="recross parity")
    parser.add_argument(
        "overrides", nargs="*", metavar="OVERRIDE", help="reranker.base_url=URL ..."
    )
    parser.add_argument("--against", required=True, metavar="NAME", help="option, folder or hub id")
    parser.add_argument("--contract", help="the local model's, where it is not its own")
    parser.add_argument("--pairs", type=Path, help="CSV with the columns query and document")
    parser.add_argument("--tolerance", type=float, default=0.01, help="share of the logits' range")
    arguments = parser.parse_intermixed_args(words)
    chosen = any(word.startswith("reranker=") for word in arguments.overrides)
    overrides = [*([] if chosen else ["reranker=served"]), *arguments.overrides]
    served = build(compose_values("run", overrides)["reranker"])
    if not isinstance(served, ScoresPairs):
        raise InputError(f"reranker must score pairs, got {type(served).__name__}")
    pairs = read_pairs(arguments.pairs) if arguments.pairs else choose_pairs()
    local = load_reranker(arguments.against, contract=arguments.contract)
    return probe(served, local, pairs, arguments.tolerance)


def probe(
    served: ScoresPairs, local: NetworkReranker, pairs: Sequence[_Pair], tolerance: float
) -> Parity:
    """Score the pairs with both; where they disagree, ask the local model in other ways, too."""
    ours, theirs = local.predict(pairs), served.predict(pairs)
    agreement = compare_scores(ours, theirs, tolerance)
    candidates = [] if agreement.agrees else _try_others(local, pairs, theirs, tolerance)
    return Parity((local.name, served.name), pairs, ours, theirs, agreement, candidates)


def read_pairs(path: Path) -> list[_Pair]:
    """The pairs of a CSV file.

    Raises:
        InputError: the file is missing, or lacks a column.
    """
    lines = read_csv_lines(path, PAIR_COLUMNS, "pairs")
    if not (pairs := [(line["query"], line["document"]) for _, line in lines]):
        raise InputError(f"pairs must hold at least one, got none in {str(path)!r}")
    return pairs


def choose_pairs() -> list[_Pair]:
    """Ten pairs of the embedded collection: queries with their document, and with the next one's.

    Raises:
        InputError: the packages whose documentation it is are not installed.
    """
    collection = build(compose_values("run", ["collection=apidocs"])["collection"]).load()
    query_ids = sorted(collection.query_ids("test"))[:QUERIES]
    relevant = [min(collection.relevant("test", query_id)) for query_id in query_ids]
    return [
        (collection.queries[query_id], collection.documents[doc_id])
        for query_id, own, other in zip(
            query_ids, relevant, [*relevant[1:], relevant[0]], strict=True
        )
        for doc_id in (own, other)
    ]


def format_probe(parity: Parity) -> str:
    """The scores pair by pair, how they agree, and the nearest of what else was tried."""
    found, (ours, theirs) = parity.agreement, parity.names
    rows = [
        (shorten(query), shorten(document), f"{mine:.4f}", f"{other:.4f}")
        for (query, document), mine, other in zip(
            parity.pairs, parity.ours, parity.theirs, strict=True
        )
    ]
    verdict = (
        f"They agree: theirs = {found.formula}, to {found.error:.2%} of the range of the logits."
        if found.agrees
        else "They disagree: no change of form, scale or shift makes one of the other."
    )
    return "\n".join(
        [
            *align_table(
                ("query", "document", f"ours: {ours}", f"theirs: {theirs}"), rows, words=2
            ),
            "",
            f"Kendall's tau {found.tau:.4f}, largest difference {found.largest_difference:.4f}.",
            verdict,
            *_list_lines(parity.candidates),
        ]
    )


def _list_lines(candidates: Sequence[Candidate]) -> list[str]:
    if not candidates:
        return []
    rows = [
        (
            candidate.asked,
            f"{candidate.agreement.tau:.4f}",
            f"theirs = {candidate.agreement.formula}" if candidate.agreement.agrees else "no",
        )
        for candidate in candidates
    ]
    return ["", *align_table(("ours, asked otherwise", "tau", "agrees"), rows)]


def _try_others(
    local: NetworkReranker, pairs: Sequence[_Pair], theirs: Scores, tolerance: float
) -> list[Candidate]:
    """How near the local model comes asked in other ways, the nearest first."""
    exchanged = [(document, query) for query, document in pairs]
    others = [("document and query exchanged", local, exchanged)]
    templates = ((asked, other, pairs) for asked, other in list_other_templates(local))
    candidates = []
    for asked, other, read in chain(others, templates):
        # a template that the tokenizer cannot lay out, or under which all pairs score alike
        with suppress(InputError):
            agreement = compare_scores(other.predict(read), theirs, tolerance)
            candidates.append(Candidate(asked, agreement))
    return sorted(candidates, key=lambda one: (not one.agreement.agrees, -one.agreement.tau))


def list_other_templates(local: NetworkReranker) -> Iterator[tuple[str, NetworkReranker]]:
    """The local model asked in the ways of other prompts, its own read-out kept."""
    own = local.network.contract
    if not isinstance(own, PromptContract) or not isinstance(local, T5Reranker | CausalReranker):
        return
    for asked, contract in list_other_prompts(own):
        yield asked, replace(local, contract=contract, alias=asked)
