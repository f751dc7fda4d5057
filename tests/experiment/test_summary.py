"""The end of an experiment tells what was found, what was left out, and what comes next."""

import json

import pytest

from recross.experiment.summary import summarise

FIRST = {"q1": 0.5, "q2": 0.5, "q3": 0.5, "q4": 0.5}
SECOND = {"q1": 1.0, "q2": 1.0, "q3": 1.0, "q4": 1.0}


def measured(per_query, interval):
    mean = sum(per_query.values()) / len(per_query)
    return {"mean": {"RR": mean}, "interval_95": {"RR": interval}, "per_query": {"RR": per_query}}


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "out" / "study" / "name" / "seed=0"
    folder.mkdir(parents=True)
    evaluations = {
        "reranked": measured(SECOND, [1.0, 1.0]),
        "first_stage": measured(FIRST, [0.5, 0.5]),
    }
    (folder / "measures.json").write_text(json.dumps(evaluations))
    return folder


@pytest.fixture
def result():
    fine = {"queries": 0, "documents": 0, "tokens_lost_share": 0.0}
    queries = {"asked": 4, "scored": 4, "without_qrels": 0, "without_relevant": 0}
    return {
        **{"label": "BM25 + minilm", "seed": 0, "depth": 100, "reranks": True, "left_out": 0},
        **{"p_values": {"RR": 0.125}, "interpolation": None, "training": {}},
        **{"truncation": fine, "first_stage_truncation": fine},
        "queries": {**queries, "short": 0, "relevant_unknown": 0},
    }


def test_stages_stand_under_their_measures_and_differences_have_interval_and_p(folder, result):
    study = folder.parents[1]
    assert summarise(folder, result).splitlines() == [
        "BM25 + minilm, seed 0: 4 queries, depth 100",
        "             RR",
        "first stage  0.5000 [0.5000, 0.5000]",
        "re-ranker    1.0000 [1.0000, 1.0000]",
        "re-ranker - first stage  RR  +0.5000 [+0.5000, +0.5000]  p = .1250",
        f"folder: {folder}",
        f"next: recross table {study}  (table and page: {study / 'table.html'})",
    ]


def test_a_first_stage_alone_has_no_difference(folder, result):
    told = summarise(folder, {**result, "reranks": False})
    assert "re-ranker" not in told
    assert "first stage  0.5000" in told


def test_the_interpolated_run_is_told_with_its_weight(folder, result):
    path = folder / "measures.json"
    mixed = measured({**FIRST, "q1": 1.0}, [0.5, 0.8])
    path.write_text(json.dumps({**json.loads(path.read_text()), "interpolated": mixed}))
    interpolation = {"weight": 0.3, "p_values": {"RR": 0.00001}}
    lines = summarise(folder, {**result, "interpolation": interpolation}).splitlines()
    assert lines[4] == "interpolated (0.30)  0.6250 [0.5000, 0.8000]"
    assert lines[6].startswith("interpolated (0.30) - first stage  RR  +0.1250 [")
    assert lines[6].endswith("]  p < .0001")


def test_what_was_cut_and_what_was_left_out_is_told(folder, result):
    cut = {"queries": 1, "documents": 2_000, "tokens_lost_share": 0.215}
    odd = {**result["queries"], "scored": 3, "without_relevant": 2, "relevant_unknown": 5}
    training = {"left_out": {"positive_among_negatives": 7, "unknown": 0}}
    told = summarise(
        folder,
        {**result, "truncation": cut, "queries": odd, "training": training, "left_out": 1_234},
    )
    assert "cut: 2,000 documents and 1 queries by the re-ranker, 21.5% of the tokens" in told
    assert [line for line in told.splitlines() if line.startswith("left out: ")] == [
        "left out: 1 of 4 queries have no candidates and score 0",
        "left out: 2 of 4 judged queries have no relevant document",
        "left out: 5 relevant documents are not in the collection",
        "left out: 1,234 documents that are excluded for their query",
        "left out: 7 in training: positive among negatives",
    ]
