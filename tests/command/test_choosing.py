"""The command that measures re-rankers for production and advises one."""

import csv
import io
import json

import pytest

from recross.command.cli import main
from recross.command.composition import compose_values
from recross.runs import Run
from tests.conftest import toy_collection


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["reranker=minilm_l6", "hardware=cpu_int8", "within_ms=50"], "minilm_l6.cpu_int8"),
        (["reranker=minilm_l6", "hardware.threads=1"], "minilm_l6.cpu.threads=1"),
        (["reranker=cross_encoder", "reranker.checkpoint=a/b"], "cross_encoder.cpu.checkpoint=b"),
        (
            ["reranker=cross_encoder", "reranker.checkpoint=outputs/s/n/seed=0/checkpoint"],
            "cross_encoder.cpu.checkpoint=n.seed=0",
        ),
    ],
)
def test_a_choice_is_named_by_what_differs_and_used_by_the_same_words(words, name):
    values = compose_values("choose", ["candidates=first.trec", "collection.size=300", *words])
    assert values["name"].startswith(name)  # what is cut of a path is told by a digest
    used = [word for word in words if not word.startswith("within")]
    assert set(values["words"]) >= {*used, "collection.size=300"}
    assert compose_values("rerank", [*values["words"], "candidates=first.trec", "depth=10"])


def test_each_is_measured_in_a_process_of_its_own_and_one_is_advised(
    tiny_bert, beir_folder, tmp_path, capfd
):
    collection = toy_collection()
    ranked = {doc_id: -float(n) for n, doc_id in enumerate([*collection.documents][:9])}
    scores = dict.fromkeys(collection.query_ids("test"), ranked)
    Run.from_scores("first", scores).write(tmp_path / "first.trec")
    words = [
        *("collection=files", f"collection.folder={beir_folder}", f"output={tmp_path / 'out'}"),
        *(f"candidates={tmp_path / 'first.trec'}", "within_ms=100000", "depths=[3,9]"),
        *("reranker=cross_encoder", f"reranker.checkpoint={tiny_bert},{tmp_path / 'none'}"),
        *("timed_queries=2", "measures=[MRR@10]"),
    ]
    (tmp_path / "none").mkdir()
    assert main(["choose", *words]) == 1  # one of the two is no checkpoint
    said = capfd.readouterr()
    assert "none" in said.err
    assert "Within 100000 ms" in said.out
    (path,) = (tmp_path / "out/choose").glob("*/choice.json")
    record = json.loads(path.read_text())
    assert [found["depth"] for found in record["depths"]] == [3, 9]
    assert record["environment"]["command"][:2] == ["recross", "choose"]
    assert record["peak_memory_mb"] > 100
    assert "● " in said.out  # the Pareto front
    study = tmp_path / "out/choose"
    (line, *_) = csv.DictReader(io.StringIO((study / "choices.csv").read_text()))
    told = {"MRR@10", "low", "high", "p_value", "on_front", "advised", "command"}
    told |= {"p50_ms", "p95_ms", "p99_ms", "queries_per_second", "pairs_per_second"}
    told |= {"load_seconds", "peak_memory_mb", "peak_gpu_memory_mb", "size_mb"}
    assert told <= line.keys()
    assert {path.suffix for path in study.glob("choices.*")} == {
        *(".md", ".csv", ".png", ".svg", ".html")
    }
    assert "<svg" in (study / "choices.html").read_text()
