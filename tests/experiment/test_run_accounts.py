"""What re-ranking, retrieval and training leave out is said, and counted beside what they write."""

import json

import pytest

from recross.collections.collection import Collection
from recross.collections.files import write_beir
from recross.command.cli import main
from recross.runs import Run
from tests.conftest import save_tiny

WORDS = ["owl", "fox", "bee", "ant", "eel"]


@pytest.fixture
def small(tmp_path):
    """Five documents and two queries that the test split judges."""
    documents = {f"d{n}": f"{word} lives here" for n, word in enumerate(WORDS)}
    queries = {"q1": "owl", "q2": "nothing at all", "q9": "eel"}
    qrels = {"test": {"q1": {"d0": 1}, "q2": {"d1": 1}}, "dev": {"q9": {"d4": 1}}}
    splits = {name: tuple(judged) for name, judged in qrels.items()}
    write_beir(tmp_path / "small", Collection("small", documents, queries, splits, qrels, "small"))
    return ["collection=files", f"collection.folder={tmp_path / 'small'}", f"output={tmp_path}"]


def rerank(tmp_path, small, *words):
    assert (
        main(["rerank", *small, "reranker=none", f"candidates={tmp_path / 'x.trec'}", *words]) == 0
    )
    account = json.loads((tmp_path / "reranked.account.json").read_text())
    return Run.read(tmp_path / "reranked.trec"), account


def write_candidates(tmp_path, *query_ids):
    scores = {f"d{n}": 5.0 - n for n in range(5)}
    Run.from_scores("x", dict.fromkeys(query_ids, scores)).write(tmp_path / "x.trec")


def test_a_reranked_run_holds_all_candidates_unless_its_tail_is_dropped(tmp_path, small, caplog):
    write_candidates(tmp_path, "q1", "q2")
    whole, account = rerank(tmp_path, small)
    assert {len(ranking) for ranking in whole.rankings.values()} == {5}
    assert account["documents"]["below_depth"] == 0
    kept, account = rerank(tmp_path, small, "depth=3")
    assert {q: kept.doc_ids(q) for q in ("q1", "q2")} == {q: whole.doc_ids(q) for q in ("q1", "q2")}
    assert (account["tail"], account["documents"]["below_depth"]) == ("keep", 4)
    assert caplog.text.count("leaves out") == 0
    cut, account = rerank(tmp_path, small, "depth=3", "tail=drop")
    assert {len(ranking) for ranking in cut.rankings.values()} == {3}
    assert account["documents"] == {
        "given": 10,
        "of_unknown_queries": 0,
        "excluded": 0,
        "below_depth": 4,
        "reranked": 6,
    }
    assert "depth=3 leaves out 4 of 10 documents" in caplog.text


def test_queries_unknown_to_the_collection_are_counted_and_the_first_is_named(
    tmp_path, small, caplog
):
    write_candidates(tmp_path, "q1", "Q3", "Q4")
    run, account = rerank(tmp_path, small)
    assert list(run.rankings) == ["q1"]
    assert account["queries"] == {
        "given": 3,
        "unknown": 2,
        "first_unknown": "Q3",
        "without_candidates": 0,
        "reranked": 1,
    }
    assert account["splits"] == {"test": {"queries": 2, "given": 1}}
    assert account["documents"]["of_unknown_queries"] == 10
    assert "2 of 3 queries are unknown to 'small' and left out, such as 'Q3'" in caplog.text


def test_an_account_tells_what_a_run_was_made_from(tmp_path, small):
    write_candidates(tmp_path, "q1")
    _, first = rerank(tmp_path, small)
    write_candidates(tmp_path, "q1", "q2")
    _, second = rerank(tmp_path, small)
    assert first["data"] == second["data"]
    assert first["reranker"] == second["reranker"]
    assert first["candidates"]["path"] == second["candidates"]["path"]
    assert first["candidates"]["content"] != second["candidates"]["content"]


@pytest.mark.parametrize(
    "words, message",
    [
        (["run_file=x.trec"], "run_file must not be candidates"),
        (["run_file=x.yaml"], "run_file: must not end in"),
        (["run_file=x.json"], "run_file: must not end in"),
    ],
)
def test_a_run_file_that_would_replace_another_file_is_refused(
    tmp_path, small, caplog, words, message
):
    write_candidates(tmp_path, "q1")
    before = (tmp_path / "x.trec").read_bytes()
    assert main(["rerank", *small, f"candidates={tmp_path / 'x.trec'}", *words]) == 2
    assert message in caplog.text
    assert (tmp_path / "x.trec").read_bytes() == before


def test_retrieval_says_which_queries_find_nothing_or_little(tmp_path, small, caplog):
    assert main(["retrieve", *small, "retriever=bm25", "depth=3"]) == 0
    account = json.loads((tmp_path / "retrieved.account.json").read_text())
    assert account["queries"] == {
        "asked": 2,
        "without_documents": 1,
        "first_without_documents": "q2",
        "short": 2,
        "without_qrels": 0,
    }
    assert account["documents"] == {"retrieved": 1, "excluded": 0}
    assert "1 of 2 queries found no document, such as 'q2'" in caplog.text
    assert "2 of 2 queries found fewer than depth=3" in caplog.text


def test_a_depth_beyond_the_collection_is_said_once_and_not_of_every_query(tmp_path, small, caplog):
    assert main(["retrieve", *small, "retriever=bm25", "depth=6"]) == 0
    account = json.loads((tmp_path / "retrieved.account.json").read_text())
    assert account["queries"]["short"] == 2
    assert caplog.text.count("depth=6 is more than the 5 documents of 'small'") == 1
    assert "fewer than" not in caplog.text


def test_a_query_that_has_the_whole_collection_lacks_nothing(tmp_path, small, caplog):
    words = ["retriever=random", "reranker=none", "latency_queries=0", "study=s", "name=x"]
    assert main(["run", *small, *words, "depth=6"]) == 0
    result = json.loads((tmp_path / "s" / "x" / "seed=0" / "result.json").read_text())
    assert result["queries"]["short"] == 0
    assert caplog.text.count("depth=6 is more than the 5 documents of 'small'") == 1
    assert "fewer" not in caplog.text


def test_what_a_first_stage_cuts_is_said_and_counted(tmp_path, small, caplog):
    assert main(["retrieve", *small, "retriever=biencoder", "retriever.max_length=4"]) == 0
    account = json.loads((tmp_path / "retrieved.account.json").read_text())
    assert account["truncation"]["documents"] == 5
    assert "first stage: 5 documents and " in caplog.text


def test_training_alone_says_what_it_could_not_learn_from(tmp_path, beir_folder, caplog):
    judged = beir_folder / "qrels" / "train.tsv"
    lines = judged.read_text().splitlines()
    query_id = lines[1].split()[0]
    lines[1] = f"{query_id}\tnowhere\t1"
    judged.write_text("\n".join([*lines, f"{lines[2].split()[0]}\tabsent\t1"]) + "\n")
    words = ["collection=files", f"collection.folder={beir_folder}", f"output={tmp_path}"]
    words += ["retriever=bm25", "reranker=cross_encoder", "reranker.fresh_head=true"]
    words += [f"reranker.checkpoint={save_tiny(tmp_path / 'tiny')}", "reranker.max_length=16"]
    words += ["training.steps=2", "training.validations=1", "training.batch_size=2", "study=s"]
    assert main(["train", *words, "negatives=random", "training.negatives_per_positive=2"]) == 0
    (path,) = tmp_path.glob("s/*/seed=0/training.json")
    *_, stage = json.loads(path.read_text())["training"]["negatives"]
    assert stage["groups"] == len(lines) - 2
    assert stage["left_out"]["without_positive"] == 1
    assert stage["left_out"]["unknown_positives"] == 2
    assert "left out: 1 without_positive, 2 unknown_positives" in caplog.text
