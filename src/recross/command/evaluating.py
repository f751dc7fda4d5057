"""``recross evaluate``: run files against judgments, and against each other."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

from recross.collections.exclusion import exclude_identical_ids, read_excluded, unite
from recross.errors import InputError
from recross.evaluation.accounts import QueryAccount
from recross.evaluation.measures import check_measures, evaluate
from recross.evaluation.ties import find_tie_ranges
from recross.records import Excluded, Qrels
from recross.report.tables.comparison import (
    format_accounts,
    format_comparison,
    format_ties,
    list_pairs,
    write_per_query,
)
from recross.runs import Run
from recross.text_files.trec import read_qrels

logger = logging.getLogger(__name__)


def evaluate_run_files(words: Sequence[str]) -> str:
    """What the command prints for these arguments; ``--per-query`` writes a file."""
    arguments = _make_parser().parse_args(words)
    measures, relevant_from = arguments.measures, arguments.relevant_from
    if relevant_from < 1:
        raise InputError(f"--relevant-from must be at least 1, got {relevant_from}")
    if twice := [path for path in arguments.runs if arguments.runs.count(path) > 1]:
        raise InputError(f"RUN must name each run file once, got {str(twice[0])!r} twice")
    check_measures(measures)
    qrels = read_qrels(arguments.qrels)
    excluded = _find_excluded(arguments.excluded, arguments.ignore_identical_ids, qrels)
    evaluations, ties, accounts = {}, {}, {}
    for path in arguments.runs:
        run, name = _read_allowed(path, excluded), str(path)
        evaluations[name] = evaluate(run, qrels, measures, relevant_from)
        ties[name] = find_tie_ranges(run, qrels, evaluations[name], relevant_from)
        accounts[name] = QueryAccount.of(run, qrels, relevant_from)
        for oddity in accounts[name].oddities:
            logger.warning("%s: %s", path, oddity)
    if arguments.per_query:
        write_per_query(arguments.per_query, evaluations, measures, ties, accounts)
    pairs = list_pairs(list(evaluations), arguments.all_pairs)
    comparison = format_comparison(evaluations, measures, pairs)
    return "\n".join([comparison, format_ties(ties, measures), format_accounts(accounts)])


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="recross evaluate")
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--qrels", type=Path, required=True, help="TREC qrels, or BEIR's tsv")
    parser.add_argument("--measures", nargs="+", default=["MRR@10", "nDCG@10", "R@100"])
    parser.add_argument("--relevant-from", type=int, default=1, help="smallest relevant grade")
    parser.add_argument(
        "--excluded", type=Path, metavar="FILE", help="leave these out: query<TAB>document"
    )
    parser.add_argument(
        "--ignore-identical-ids", action="store_true", help="leave out the document of a query's id"
    )
    parser.add_argument("--all-pairs", action="store_true", help="not only against the first run")
    parser.add_argument(
        "--per-query", type=Path, metavar="FILE", help="CSV of every query's values"
    )
    return parser


def _find_excluded(path: Path | None, ignore_identical_ids: bool, qrels: Qrels) -> Excluded:
    named = read_excluded(path) if path else {}
    return unite(named, exclude_identical_ids(qrels)) if ignore_identical_ids else named


def _read_allowed(path: Path, excluded: Excluded) -> Run:
    run = Run.read(path).without(excluded)
    if excluded:
        logger.info("%s: %d documents left out that are excluded", path, run.left_out)
    return run
