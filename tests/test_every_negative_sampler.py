"""Every option of ``negatives`` trains end to end, and the record says what was mined."""

import json

import pytest

from recross.command.catalogue import list_options
from recross.command.cli import main
from recross.runs import Run
from tests.conftest import save_tiny

STAGES = {"curriculum": ["easy", "lexical", "hard"]}


@pytest.fixture
def words(beir_folder, tmp_path):
    return [
        *("run", "collection=files", f"collection.folder={beir_folder}", "retriever=bm25"),
        *("reranker=cross_encoder", f"reranker.checkpoint={save_tiny(tmp_path / 'tiny')}"),
        *("reranker.fresh_head=true", "reranker.max_length=32", "training=smoke", "depth=6"),
        *("latency_queries=0", "interpolate=false", f"output={tmp_path / 'out'}", "name=cell"),
        "study=s",
    ]


def training_of(tmp_path, seed=0):
    path = tmp_path / "out" / "s" / "cell" / f"seed={seed}" / "result.json"
    return json.loads(path.read_text())["training"]


def pools_of(counts):
    """Counts of one pool, or of each part's."""
    return [counts] if "kept" in counts else list(counts.values())


@pytest.mark.parametrize("name", list_options()["negatives"])
def test_it_trains_and_what_it_mined_is_kept_for_other_seeds(name, words, tmp_path):
    assert main([*words, f"negatives={name}"]) == 0
    record = training_of(tmp_path)
    assert [stage["stage"] for stage in record["negatives"]] == STAGES.get(name, ["all"])
    assert sum(stage["share"] for stage in record["negatives"]) == pytest.approx(1)
    pools = [pool for stage in record["negatives"] for pool in pools_of(stage["mined"])]
    for pool in pools:
        assert pool["queries"] == 57
        assert pool["candidates"] == pool["kept"] + sum(pool["dropped"].values())
    kept = list((tmp_path / "out" / "store" / "negatives").glob("*/pool.trec"))
    lines = [sum(map(len, Run.read(path).rankings.values())) for path in kept]
    assert sorted(lines) == sorted(pool["kept"] for pool in pools)
    stamps = {path: path.stat().st_mtime_ns for path in kept}
    assert main([*words, f"negatives={name}", "seed=1"]) == 0
    assert training_of(tmp_path, seed=1)["negatives"] == record["negatives"]
    after = (tmp_path / "out" / "store" / "negatives").glob("*/pool.trec")
    assert {path: path.stat().st_mtime_ns for path in after} == stamps


def test_easy_steps_come_before_every_stage(words, tmp_path):
    assert main([*words, "negatives=curriculum", "training.easy_share=0.5"]) == 0
    record = training_of(tmp_path)["negatives"]
    assert [stage["share"] for stage in record] == pytest.approx([0.5, 0.2, 0.1, 0.2])
    assert record[0]["mined"] == record[1]["mined"]  # both random
    assert training_of(tmp_path)["steps"] == 2


def test_leaks_are_refused_where_that_is_asked(words, beir_folder, tmp_path, caplog):
    with (beir_folder / "qrels" / "train.tsv").open("a") as qrels:
        qrels.write("q2\td0\t1\n")  # relevant to the test query q0
    assert main([*words, "negatives=random"]) == 0
    leaks = {"queries": 0, "shared_positives": 1, "near_duplicates": 0}
    assert training_of(tmp_path)["leaks"] == leaks
    assert main([*words, "negatives=random", "leaks=refuse"]) == 2
    assert "leaks must be leave_out where training and evaluation" in caplog.text
