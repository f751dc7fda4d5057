"""``recross evaluate``: run files against judgments, and against each other."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from recross.collections.collection import Collection
from recross.collections.exclusion import exclude_identical_ids, read_excluded, unite
from recross.errors import InputError
from recross.evaluation.accounts import QueryAccount
from recross.evaluation.measures import check_measures, evaluate
from recross.evaluation.ties import find_tie_ranges
from recross.records import Excluded, Qrels
from recross.report.finding import compose_finding
from recross.report.run_study import RunStudy
from recross.report.tables.comparison import (
    format_accounts,
    format_comparison,
    format_ties,
    list_pairs,
    write_per_query,
)
from recross.report.tables.latex import LatexStyle
from recross.report.tables.run_rows import make_run_rows
from recross.runs import Run
from recross.text_files.trec import read_qrels

logger = logging.getLogger(__name__)


def evaluate_run_files(words: Sequence[str]) -> str:
    """What the command prints; ``--per-query`` writes a file, ``--output`` a folder of them."""
    arguments = _make_parser().parse_args(words)
    if arguments.relevant_from is not None and arguments.relevant_from < 1:
        raise InputError(f"--relevant-from must be at least 1, got {arguments.relevant_from}")
    paths = _name_runs(arguments.runs)
    check_measures(arguments.measures)
    if arguments.qrels is None and not arguments.collection:
        raise InputError("--qrels or --collection must be given, got neither")
    collection = _load_collection(arguments.collection) if arguments.collection else None
    study = _evaluate(paths, arguments, collection)
    if arguments.per_query:
        write_per_query(
            arguments.per_query, study.evaluations, arguments.measures, study.ties, study.accounts
        )
    if arguments.output:
        style = LatexStyle(arguments.intervals, arguments.caption, arguments.label)
        written = study.write(arguments.output, style)
        logger.info("wrote %s", ", ".join(map(str, written)))
    pairs = list_pairs(list(study.evaluations), arguments.all_pairs)
    comparison = format_comparison(study.evaluations, arguments.measures, pairs)
    ties = format_ties(study.ties, arguments.measures)
    said = [comparison, ties, format_accounts(study.accounts)]
    if len(study.runs) > 1 and not arguments.all_pairs:  # whose p are corrected for more
        said.append(compose_finding(make_run_rows(study.evaluations, study.ties)))
    return "\n".join(said)


def add_latex_arguments(parser: argparse.ArgumentParser) -> None:
    """What ``table.tex`` may have beside the numbers."""
    of_latex = parser.add_argument_group("table.tex")
    of_latex.add_argument("--intervals", action="store_true", help="beside each mean")
    of_latex.add_argument("--caption", metavar="LATEX", help="instead of one that is made")
    of_latex.add_argument("--label", help="for references, instead of tab: and the study's name")


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="recross evaluate")
    parser.add_argument("runs", nargs="+", metavar="RUN", help="a run file, or NAME=FILE")
    parser.add_argument("--qrels", type=Path, help="TREC qrels, or BEIR's tsv")
    parser.add_argument(
        "--collection",
        nargs="+",
        metavar="OPTION",
        help="texts, judgments unless --qrels, and what is excluded: files folder=DIR",
    )
    parser.add_argument("--split", default="test", help="of the collection's judgments")
    parser.add_argument(
        "--measures",
        nargs="+",
        default=["MRR@10", "nDCG@10", "R@100"],
        help="ir_measures' names or trec_eval's, such as ndcg_cut_10",
    )
    parser.add_argument("--relevant-from", type=int, help="smallest relevant grade")
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
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="write table.md .csv .tex .html and the plot"
    )
    add_latex_arguments(parser)
    return parser


def _name_runs(words: Sequence[str]) -> dict[str, Path]:
    """Files by the names that they are given, or by their paths.

    Raises:
        InputError: a name or a file is there twice.
    """
    paths: dict[str, Path] = {}
    for word in words:
        name, equals, file = word.partition("=")
        if not (equals and name and file) or Path(word).is_file():
            name, file = word, word
        path = Path(file)
        if path in paths.values():
            raise InputError(f"RUN must name each run file once, got {file!r} twice")
        if name in paths:
            raise InputError(f"RUN must give each file a name of its own, got {name!r} twice")
        paths[name] = path
    return paths


def _load_collection(words: Sequence[str]) -> Collection:
    """The collection of an option and its values: ``files folder=DIR``."""
    from recross.command.building import build
    from recross.command.composition import compose_values

    option, *values = (word.removeprefix("collection=") for word in words)
    own = [f"collection.{value.removeprefix('collection.')}" for value in values]
    composed = compose_values("retrieve", [f"collection={option}", *own])
    collection: Collection = build(composed["collection"]).load()
    return collection


def _evaluate(
    paths: Mapping[str, Path], arguments: argparse.Namespace, collection: Collection | None
) -> RunStudy:
    split, relevant_from = arguments.split, arguments.relevant_from
    if relevant_from is None:
        is_own = collection is not None and arguments.qrels is None
        relevant_from = collection.relevant_grade(split) if collection and is_own else 1
    qrels = _find_qrels(arguments, collection)
    excluded = _find_excluded(arguments.excluded, arguments.ignore_identical_ids, qrels)
    if collection is not None:
        excluded = unite(excluded, collection.excluded)
    runs, evaluations, ties, accounts = {}, {}, {}, {}
    for name, path in paths.items():
        runs[name] = run = _read_allowed(path, excluded)
        evaluations[name] = evaluate(run, qrels, arguments.measures, relevant_from)
        ties[name] = find_tie_ranges(run, qrels, evaluations[name], relevant_from)
        accounts[name] = QueryAccount.of(run, qrels, relevant_from)
        for oddity in accounts[name].oddities:
            logger.warning("%s: %s", path, oddity)
    return RunStudy(runs, evaluations, ties, accounts, qrels, relevant_from, collection)


def _find_qrels(arguments: argparse.Namespace, collection: Collection | None) -> Qrels:
    if arguments.qrels is not None or collection is None:
        return read_qrels(arguments.qrels)
    return collection.judged(arguments.split)


def _find_excluded(path: Path | None, ignore_identical_ids: bool, qrels: Qrels) -> Excluded:
    named = read_excluded(path) if path else {}
    return unite(named, exclude_identical_ids(qrels)) if ignore_identical_ids else named


def _read_allowed(path: Path, excluded: Excluded) -> Run:
    run = Run.read(path).without(excluded)
    if excluded:
        logger.info("%s: %d documents left out that are excluded", path, run.left_out)
    return run
