"""Odd runs, judgments, measures and candidates: what evaluation and re-ranking make of them."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from recross.collections.collection import Collection
from recross.collections.exclusion import exclude, exclude_identical_ids, unite
from recross.collections.files import BeirFolder, write_beir
from recross.command.evaluating import evaluate_run_files
from recross.evaluation.accounts import QueryAccount, account
from recross.evaluation.measures import check_measures, evaluate
from recross.evaluation.significance import pair_differences
from recross.evaluation.ties import find_tie_ranges
from recross.experiment.reranking_command import Reranking
from recross.experiment.retrieval_command import Retrieval
from recross.rerankers.baselines import Oracle
from recross.retrieval.bm25 import BM25
from recross.retrieval.run_file import RunFile
from recross.runs import Run
from tests.odd_inputs.odd_input import OddInput, refused

Act = Callable[[Path], object]
Scores = Mapping[str, Mapping[str, float]]
FOUND: Scores = {"q1": {"d1": 3.0, "d2": 2.0, "d3": 1.0}}
LARGE = 10_000


def measure(scores: Scores, qrels: object, *names: str, relevant_from: int = 1) -> Act:
    """Means of measures, to six digits: the value alone where there is one."""

    def act(_: Path) -> object:
        found = evaluate(Run.from_scores("odd", scores), qrels, names, relevant_from).mean
        means = {name: round(value, 6) for name, value in found.items()}
        return means if len(names) > 1 else means[names[0]]

    return act


def judge(judgments: object, name: str = "AP", relevant_from: int = 1) -> Act:
    return measure(FOUND, {"q1": judgments}, name, relevant_from=relevant_from)


def count(scores: Scores, qrels: Mapping[str, Mapping[str, int]], relevant_from: int = 1) -> Act:
    """Queries judged, ranked, missing, unjudged and without relevant documents."""

    def act(_: Path) -> object:
        of = QueryAccount.of(Run.from_scores("odd", scores), qrels, relevant_from)
        return (of.judged, of.ranked, of.missing, of.unjudged, of.without_relevant)

    return act


def take_account(key: str, **more: object) -> Act:
    given = {"qrels": {"q1": {"d1": 1}}, "query_ids": ["q1"], "depth": 3, **more}
    return lambda _: account(Run.from_scores("odd", FOUND), **given)[key]


def range_of(scores: Scores, judgments: Mapping[str, int], name: str) -> Act:
    def act(_: Path) -> object:
        run, qrels = Run.from_scores("odd", scores), {"q1": judgments}
        found = find_tie_ranges(run, qrels, evaluate(run, qrels, [name])).mean[name]
        return found and tuple(round(value, 6) for value in found)

    return act


def write(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


def evaluate_files(runs: Mapping[str, str], qrels: str, *more: str, excluded: str = "") -> Act:
    """The cells of the first line that is printed of each run, behind its name."""

    def act(folder: Path) -> object:
        (folder / "odd.qrels").write_text(qrels)
        for name, lines in runs.items():
            (folder / name).write_text(lines)
        words = [*(str(folder / name) for name in runs), "--qrels", str(folder / "odd.qrels")]
        if excluded:
            (folder / "odd.excluded").write_text(excluded)
            words += ["--excluded", str(folder / "odd.excluded")]
        printed = evaluate_run_files([*words, "--measures", "RR", *more]).splitlines()
        lines = [line.strip("| ").split("|") for line in printed if ".trec" in line]
        return [cells[1].split()[0] for cells in lines[: len(runs)]]

    return act


def list_values(runs: Mapping[str, str], qrels: str) -> Act:
    """The lines of the file of values that the command writes, without the names of runs."""

    def act(folder: Path) -> object:
        path = folder / "values.csv"
        evaluate_files(runs, qrels, "--per-query", str(path))(folder)
        with path.open(newline="") as file:
            return list(csv.reader(file))[1:]

    return act


def toy(**more: object) -> Collection:
    return Collection(
        **{
            "name": "toy",
            "documents": {"d1": "owl", "d2": "fox and owl", "d3": "bee"},
            "queries": {"q1": "owl", "q2": "fox", "d3": "bee"},
            "split_queries": {"test": ("q1", "q2"), "dev": ("d3",)},
            "split_qrels": {"test": {"q1": {"d1": 1}}, "dev": {"d3": {"d3": 1}}},
            "fingerprint": "toy",
            **more,
        }
    )


def write_toy(folder: Path) -> BeirFolder:
    write_beir(folder / "toy", toy(split_qrels={"test": {"q1": {"d1": 1}, "q2": {"d2": 1}}}))
    return BeirFolder(folder / "toy")


def rerank(lines: str, **more: object) -> Act:
    """The documents of every query of the run that re-ranking writes."""

    def act(folder: Path) -> object:
        (folder / "odd.trec").write_text(lines)
        given = {"candidates": folder / "odd.trec", "output": folder, "store": folder / "store"}
        made = Reranking(collection=write_toy(folder), reranker=Oracle(), **{**given, **more})
        run = Run.read(made.run())
        return {query_id: run.doc_ids(query_id) for query_id in run.rankings}

    return act


def retrieve(**more: object) -> Act:
    def act(folder: Path) -> object:
        given = {"output": folder, "store": folder / "store", **more}
        run = Retrieval(collection=write_toy(folder), retriever=BM25(), **given).make().run
        return {query_id: run.doc_ids(query_id) for query_id in run.rankings}

    return act


def read_run_file(lines: str, query_ids: Sequence[str] = ("q1", "q2"), depth: int = 9) -> Act:
    def act(folder: Path) -> object:
        (folder / "odd.trec").write_text(lines)
        run = RunFile(folder / "odd.trec").retrieve(toy(), query_ids, depth)
        return {query_id: run.doc_ids(query_id) for query_id in run.rankings}

    return act


def line(query_id: str, doc_id: str, score: float = 1.0) -> str:
    return f"{query_id} Q0 {doc_id} 1 {score} odd\n"


GRADES = [
    *[("below those with a meaning", -3), ("the least of 32 bits", -(2**31))],
    *[("above those that are counted", LARGE + 1), ("beyond 32 bits", 2**31)],
    *[("beyond 64 bits", 2**64), ("a fraction", 0.5), ("a text", "1"), ("nothing", None)],
    *[("no number", float("nan")), ("infinite", float("inf")), ("a list", [1])],
]

ODD_INPUTS = [
    *(
        OddInput(
            f"grade: {name}",
            judge({"d1": grade}),
            refused("grades must be whole numbers in [-2, 10000]", repr(grade), "'q1'", "'d1'"),
        )
        for name, grade in GRADES
    ),
    OddInput("grade: the greatest", judge({"d1": LARGE, "d2": 1}, "nDCG"), 1.0),
    OddInput("grade: true counts as one", judge({"d1": True}), 1.0),
    OddInput("grade: negative ones are not relevant", judge({"d1": -1, "d2": 1}), 0.5),
    OddInput("grade: negative ones gain nothing", judge({"d1": -2, "d2": 1}, "nDCG"), 0.63093),
    OddInput("grade: negative ones alone", judge({"d1": -1, "d2": -2}), 0.0),
    OddInput("grade: negative ones alone, bpref", judge({"d1": -1}, "Bpref"), 0.0),
    OddInput("grade: negative ones alone, nDCG", judge({"d1": -2}, "nDCG@10"), 0.0),
    OddInput("grade: negative ones alone, infAP", judge({"d1": -1}, "infAP"), 0.0),
    OddInput("grade: negative ones are judged", judge({"d1": -1}, "Judged@1"), 1.0),
    OddInput("grade: zero alone", judge({"d1": 0, "d2": 0}), 0.0),
    OddInput("grade: zero alone, nDCG", judge({"d1": 0}, "nDCG@10"), 0.0),
    OddInput("grade: one below the relevant ones", judge({"d1": 1, "d2": 2}, "RR", 2), 0.5),
    OddInput("grade: none reaches the relevant ones", judge({"d1": 1}, "RR", 9), 0.0),
    OddInput("grade: graded measures see all", judge({"d1": 1, "d2": 1}, "nDCG@10", 2), 1.0),
    OddInput("grade: a measure's own is stronger", judge({"d1": 1}, "RR(rel=1)@10", 2), 0.5 * 2),
    OddInput("qrels: none", measure(FOUND, {}, "AP"), refused("qrels", "at least one", "none")),
    OddInput("qrels: a query without documents", judge({}), 0.0),
    OddInput(
        "qrels: of other topics",
        measure({"2024-1": {"d1": 1.0}}, {"2024-1.1": {"d1": 1}}, "AP"),
        refused("qrels must judge queries of the run", "'2024-1'", "'2024-1.1'"),
    ),
    OddInput(
        "qrels: topics with a blank less",
        measure({"q1": {"d1": 1.0}}, {" q1": {"d1": 1}, "Q1": {"d1": 1}}, "AP"),
        refused("'q1'", "2 others", "' q1'"),
    ),
    OddInput(
        "qrels: one topic of two in common",
        measure(FOUND, {"q1": {"d1": 1}, "q2": {"d1": 1}}, "AP"),
        0.5,
    ),
    OddInput("qrels: a relevant document that nobody finds", judge({"d1": 1, "x": 1}), 0.5),
    OddInput("qrels: documents of capital letters are others", judge({"D1": 1}), 0.0),
    OddInput(
        "qrels: a thousand documents, one found",
        judge({**{f"x{n}": 1 for n in range(999)}, "d1": 1}, "R@1"),
        0.001,
    ),
    OddInput("run: no query", measure({}, {"q1": {"d1": 1}}, "AP"), 0.0),
    OddInput("run: a query without documents", measure({"q1": {}}, {"q1": {"d1": 1}}, "AP"), 0.0),
    OddInput(
        "run: a query that is not judged does not count",
        measure({**FOUND, "q2": {"d1": 1.0}}, {"q1": {"d1": 1}}, "AP"),
        1.0,
    ),
    OddInput(
        "run: negative scores", measure({"q1": {"a": -2.0, "b": -1.0}}, {"q1": {"b": 1}}, "RR"), 1.0
    ),
    OddInput(
        "run: all scores equal", measure({"q1": {"a": 0.0, "b": 0.0}}, {"q1": {"a": 1}}, "RR"), 0.5
    ),
    OddInput(
        "run: equal in single precision",
        measure({"q1": {"a": 16777217.0, "b": 16777216.0}}, {"q1": {"b": 1}}, "RR"),
        1.0,
    ),
    OddInput(
        "run: no number as a score",
        measure({"q1": {"d1": float("nan")}}, {"q1": {"d1": 1}}, "RR"),
        refused("score", "finite", "nan", "'q1'", "'d1'"),
    ),
    OddInput(
        "run: an infinite score",
        measure({"q1": {"d1": float("inf")}}, {"q1": {"d1": 1}}, "RR"),
        refused("score", "finite", "inf"),
    ),
    OddInput("run: fewer documents than the cut-off", judge({"d3": 1}, "P@10"), 0.1),
    *(
        OddInput(
            f"measured: {name!r}",
            lambda _, name=name: check_measures([name]),
            refused("measures must be names such as", repr(name)),
        )
        for name in ("", "@10", "nDCG@", "MRR10", "ndcg@ten", "nDCG(@10", "P@-1.5", "é")
    ),
    OddInput(
        "measured: a gain that cannot be counted",
        lambda _: check_measures(["nDCG(gains={1:10001})@10"]),
        refused("gains must lie in [0, 10000]", "10001"),
    ),
    OddInput("measured: gains of unjudged grades", judge({"d1": 1}, "nDCG(gains={7:3})@10"), 1.0),
    OddInput("measured: a cut-off beyond the run", judge({"d1": 1}, "nDCG@1000000"), 1.0),
    OddInput(
        "queries: none in common",
        count(FOUND, {"q9": {"d1": 1}}),
        (1, 1, ("q9",), ("q1",), ()),
    ),
    OddInput(
        "queries: an empty ranking is missing",
        count({"q1": {}}, {"q1": {"d1": 1}}),
        (1, 0, ("q1",), (), ()),
    ),
    OddInput("queries: only grade 0", count(FOUND, {"q1": {"d1": 0}}), (1, 1, (), (), ("q1",))),
    OddInput(
        "queries: only negative grades", count(FOUND, {"q1": {"d1": -2}}), (1, 1, (), (), ("q1",))
    ),
    OddInput(
        "queries: below the relevant grade",
        count(FOUND, {"q1": {"d1": 1}}, 2),
        (1, 1, (), (), ("q1",)),
    ),
    OddInput("account: nothing asked", take_account("judged", query_ids=[]), 0),
    OddInput("account: judged, not asked", take_account("judged_not_asked", query_ids=[]), 1),
    OddInput("account: asked, not judged", take_account("without_qrels", qrels={}), 1),
    OddInput("account: fewer than the depth", take_account("short", depth=4), 1),
    OddInput(
        "account: relevant, not in the collection",
        take_account("relevant_unknown", documents={"d2"}),
        1,
    ),
    OddInput(
        "account: negative judgments",
        take_account("negative_judgments", qrels={"q1": {"d1": -1, "d2": -2, "d3": 0}}),
        2,
    ),
    OddInput(
        "ties: all relevant",
        range_of({"q1": {"a": 1.0, "b": 1.0}}, {"a": 1, "b": 1}, "RR"),
        (1.0, 1.0, 1.0),
    ),
    OddInput(
        "ties: one of two", range_of({"q1": {"a": 1.0, "b": 1.0}}, {"a": 1}, "RR"), (0.5, 1.0, 0.75)
    ),
    OddInput(
        "ties: negative judgments alone",
        range_of({"q1": {"a": 1.0, "b": 1.0}}, {"a": -1}, "RR"),
        (0.0, 0.0, 0.0),
    ),
    OddInput(
        "ties: of a query that is missing",
        range_of({"q2": {"a": 1.0}, "q1": {}}, {"a": 1}, "RR"),
        (0.0, 0.0, 0.0),
    ),
    OddInput(
        "compared: no query in common",
        lambda _: pair_differences({"a": 1.0}, {"b": 1.0}),
        refused("query in common", "none"),
    ),
    OddInput(
        "compared: one query in common",
        lambda _: pair_differences({"a": 1.0, "b": 0.0}, {"b": 1.0}).tolist(),
        [-1.0],
    ),
    OddInput(
        "evaluate: other topics",
        evaluate_files({"a.trec": line("q-1", "d1")}, "q1 0 d1 1\n"),
        refused("qrels must judge queries of the run", "'q-1'", "'q1'"),
    ),
    OddInput(
        "evaluate: one of two runs of other topics",
        evaluate_files({"a.trec": line("q1", "d1"), "b.trec": line("q-1", "d1")}, "q1 0 d1 1\n"),
        refused("qrels must judge queries of the run"),
    ),
    OddInput(
        "evaluate: a third of the topics",
        evaluate_files({"a.trec": line("q1", "d1")}, "q1 0 d1 1\nq2 0 d 1\nq3 0 d 1\n"),
        ["0.3333"],
    ),
    OddInput(
        "evaluate: two runs of other queries each",
        evaluate_files(
            {"a.trec": line("q1", "d"), "b.trec": line("q2", "d")}, "q1 0 d 1\nq2 0 d 1\n"
        ),
        ["0.5000", "0.5000"],
    ),
    OddInput(
        "evaluate: relevant from zero",
        evaluate_files({"a.trec": line("q1", "d1")}, "q1 0 d1 1\n", "--relevant-from", "0"),
        refused("--relevant-from must be at least 1", "got 0"),
    ),
    OddInput(
        "evaluate: relevant from below zero",
        evaluate_files({"a.trec": line("q1", "d1")}, "q1 0 d1 1\n", "--relevant-from", "-1"),
        refused("--relevant-from must be at least 1", "got -1"),
    ),
    OddInput(
        "evaluate: a run twice",
        lambda folder: evaluate_run_files(["a.trec", "a.trec", "--qrels", str(folder)]),
        refused("each run file once", "'a.trec' twice"),
    ),
    OddInput(
        "evaluate: a run that is not there",
        lambda folder: evaluate_run_files(
            [str(folder / "no.trec"), "--qrels", write(folder / "odd.qrels", "q1 0 d1 1\n")]
        ),
        refused("no.trec"),
    ),
    OddInput(
        "evaluate: qrels that are not there",
        lambda folder: evaluate_run_files(["a.trec", "--qrels", str(folder / "no.qrels")]),
        refused("no.qrels"),
    ),
    OddInput(
        "evaluate: a measure is checked before a file is read",
        lambda _: evaluate_run_files(["no.trec", "--qrels", "no.qrels", "--measures", "MRR10"]),
        refused("measures must be names", "'MRR10'"),
    ),
    OddInput(
        "evaluate: excluded documents of nobody",
        evaluate_files({"a.trec": line("q1", "d1")}, "q1 0 d1 1\n", excluded="q9\td1\n"),
        ["1.0000"],
    ),
    OddInput(
        "evaluate: all documents of the only query excluded",
        evaluate_files({"a.trec": line("q1", "d1")}, "q1 0 d1 1\n", excluded="q1\td1\n"),
        ["0.0000"],
    ),
    OddInput(
        "evaluate: identical ids of one query of two",
        evaluate_files(
            {"a.trec": line("q1", "q1", 2) + line("q1", "d1")},
            "q1 0 d1 1\n",
            "--ignore-identical-ids",
        ),
        ["1.0000"],
    ),
    OddInput(
        "evaluate: values say what is not ranked",
        list_values({"a.trec": line("q1", "d1")}, "q1 0 d1 1\nq2 0 d1 1\n"),
        [["RR", "q1", "1.0", "1"], ["RR", "q2", "0.0", "0"]],
    ),
    OddInput(
        "split: its queries are not judged",
        lambda _: toy(split_qrels={"test": {"d3": {"d3": 1}}}).judged("test"),
        refused("split 'test' of 'toy' must hold judged queries", "2 queries", "1 others"),
    ),
    OddInput(
        "split: unknown",
        lambda _: toy().judged("validation"),
        refused("'toy' has the splits test, dev", "'validation'"),
    ),
    OddInput(
        "split: judged queries that nobody asks are left out",
        lambda _: toy(split_qrels={"test": {"d3": {"d3": 1}, "q2": {"d1": 0}}}).judged("test"),
        {"q2": {"d1": 0}},
    ),
    OddInput(
        "split: a relevant grade of another one",
        lambda _: toy(relevant_from={"validation": 2}),
        refused("relevant_from must name splits of test, dev", "'validation'"),
    ),
    OddInput(
        "excluded: of an unknown query",
        lambda _: toy().excluding({"q9": frozenset("d")}),
        refused("excluded documents must be those of queries of 'toy'", "'q9'"),
    ),
    OddInput(
        "excluded: identical ids that are no documents",
        lambda _: exclude(toy(), {}, ignore_identical_ids=True).excluded["q1"],
        frozenset({"q1"}),
    ),
    OddInput("excluded: nothing", lambda _: exclude(toy(), {}, False).excluded, {}),
    OddInput(
        "excluded: named and identical",
        lambda _: unite({"d3": frozenset({"d1"})}, exclude_identical_ids(["d3"])),
        {"d3": frozenset({"d1", "d3"})},
    ),
    OddInput(
        "rerank: all candidates by default",
        rerank("".join(line("q1", f"d{n}", n) for n in (1, 2, 3))),
        {"q1": ["d1", "d3", "d2"]},
    ),
    OddInput(
        "rerank: a depth beyond the candidates",
        rerank(line("q1", "d2", 2) + line("q1", "d1"), depth=1000),
        {"q1": ["d1", "d2"]},
    ),
    OddInput(
        "rerank: a depth of one",
        rerank(line("q1", "d2", 2) + line("q1", "d1"), depth=1),
        {"q1": ["d2", "d1"]},
    ),
    OddInput(
        "rerank: a depth of zero",
        rerank(line("q1", "d1"), depth=0),
        refused("depth", "at least 1", "got 0"),
    ),
    OddInput(
        "rerank: a depth that is a text",
        rerank(line("q1", "d1"), depth="all"),
        refused("depth", "'all'"),
    ),
    OddInput(
        "rerank: a query that nobody knows",
        rerank(line("Q3", "d1") + line("q1", "d1")),
        {"q1": ["d1"]},
    ),
    OddInput(
        "rerank: queries that nobody knows alone",
        rerank(line("Q3", "d1")),
        refused("candidates must rank queries of the collection", "'Q3'"),
    ),
    OddInput(
        "rerank: a document that nobody knows",
        rerank(line("q1", "d1") + line("q1", "x")),
        refused("must name documents of 'toy'", "'x'", "1 unknown of 2"),
    ),
    OddInput(
        "rerank: an unknown document of an unknown query",
        rerank(line("q9", "x") + line("q1", "d1")),
        {"q1": ["d1"]},
    ),
    OddInput("rerank: an empty file", rerank(""), refused("odd.trec", "at least one")),
    OddInput(
        "rerank: no file", rerank("", candidates=Path("no") / "run.trec"), refused("run.trec")
    ),
    OddInput(
        "rerank: over its own candidates",
        rerank(line("q1", "d1"), run_file=Path("odd.trec")),
        refused("run_file must not be candidates"),
    ),
    OddInput(
        "rerank: into its own config",
        rerank(line("q1", "d1"), run_file=Path("odd.yaml")),
        refused("run_file must not end in", "odd.yaml"),
    ),
    OddInput(
        "retrieve: deeper than the collection",
        retrieve(depth=10**6),
        {"q1": ["d1", "d2"], "q2": ["d2"]},
    ),
    OddInput("retrieve: a depth of zero", retrieve(depth=0), refused("depth", "at least 1")),
    OddInput(
        "retrieve: an unknown split",
        retrieve(split="validation"),
        refused("has the splits", "'validation'"),
    ),
    OddInput(
        "retrieve: into its own account",
        retrieve(run_file=Path("odd.json")),
        refused("run_file must not end in", "odd.json"),
    ),
    OddInput(
        "run file: a query that it lacks", read_run_file(line("q1", "d1")), {"q1": ["d1"], "q2": []}
    ),
    OddInput(
        "run file: a query that nobody asks",
        read_run_file(line("q1", "d1") + line("q9", "x")),
        {"q1": ["d1"], "q2": []},
    ),
    OddInput(
        "run file: other topics",
        read_run_file(line("1", "d1")),
        refused("must rank documents for the queries of 'toy'", "'q1'", "'1'"),
    ),
    OddInput(
        "run file: a document that nobody knows",
        read_run_file(line("q1", "D1")),
        refused("must name documents of 'toy'", "'D1'"),
    ),
    OddInput(
        "run file: deeper than asked",
        read_run_file(line("q1", "d1", 2) + line("q1", "d2"), depth=1),
        {"q1": ["d1"], "q2": []},
    ),
]
