"""Whole commands on the toy collection with a tiny random BERT, as a user types them."""

import json
import re
import struct
import time

import pytest
import yaml

from recross.collections.collection import Collection
from recross.collections.files import BeirFolder, write_beir
from recross.command.cli import main
from recross.runs import Run
from tests.conftest import save_tiny

SMALL = ["training.steps=4", "training.validations=2", "training.batch_size=4", "depth=10"]
SMALL += ["training.negatives_per_positive=3", "latency_queries=3", "negatives=random"]


@pytest.fixture
def base(beir_folder, tmp_path):
    checkpoint = save_tiny(tmp_path / "tiny")
    return [
        "collection=files",
        f"collection.folder={beir_folder}",
        "retriever=bm25",
        "reranker=cross_encoder",
        f"reranker.checkpoint={checkpoint}",
        "reranker.fresh_head=true",
        "reranker.max_length=32",
        f"output={tmp_path / 'out'}",
    ]


def folder_of(tmp_path, name="bm25.cross_encoder", study="s", seed=0):
    (found,) = (tmp_path / "out" / study).glob(f"{name}*/seed={seed}")
    return found


def result_of(folder):
    return json.loads((folder / "result.json").read_text())


def test_one_run_leaves_every_file_and_a_complete_record(base, tmp_path):
    assert main(["run", *base, *SMALL, "study=s"]) == 0
    folder = folder_of(tmp_path)
    files = {path.name for path in folder.iterdir()}
    assert files >= {
        *("config.yaml", "environment.json", "candidates.trec", "reranked.trec", "checkpoint"),
        *("interpolated.trec", "measures.json", "result.json", "log.jsonl", "texts.json"),
    }
    result = result_of(folder)
    assert result["status"] == "done"
    assert result["queries"] == {
        "asked": 20,
        "scored": 20,
        "judged": 20,
        "without_qrels": 0,
        "judged_not_asked": 0,
        "without_relevant": 0,
        "negative_judgments": 0,
        "relevant_unknown": 0,
        "short": 0,
        "tied": 0,
    } | {"short": result["queries"]["short"], "tied": result["queries"]["tied"]}
    assert result["training"]["steps"] == 4
    assert result["latency_ms_per_100"]["p95"] >= result["latency_ms_per_100"]["p50"] > 0
    assert {"p50", "p95", "tokenize", "forward"} == result["latency_ms_per_100"].keys()
    assert result["parameters"] * 4 / 1e6 == pytest.approx(result["size_mb"])
    assert yaml.safe_load((folder / "config.yaml").read_text())["depth"] == 10
    measures = json.loads((folder / "measures.json").read_text())
    per_query = measures["reranked"]["per_query"]["MRR@10"]
    assert sum(per_query.values()) / len(per_query) == pytest.approx(result["measures"]["MRR@10"])
    assert result["first_stage_ties"] == measures["first_stage"]["ties"]["mean"]
    assert result["ties"] == measures["reranked"]["ties"]["mean"]
    candidates, reranked = (Run.read(folder / f"{n}.trec") for n in ("candidates", "reranked"))
    assert {q: sorted(candidates.doc_ids(q)) for q in candidates.rankings} == {
        q: sorted(reranked.doc_ids(q)) for q in reranked.rankings
    }
    command = json.loads((folder / "environment.json").read_text())["command"]
    assert command == ["recross", "run", *base, *SMALL, "study=s"]
    texts = json.loads((folder / "texts.json").read_text())
    assert texts["queries"].keys() == texts["relevant"].keys() == reranked.rankings.keys()
    shown = {doc_id for q in reranked.rankings for doc_id in reranked.doc_ids(q)[:10]}
    assert shown <= texts["documents"].keys()
    steps = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [s["step"] for s in steps if "loss" in s] == [1, 2, 3, 4]
    assert [s["step"] for s in steps if "dev MRR@10" in s] == [2, 4]


def test_the_checkpoint_of_a_run_gives_its_scores_in_sentence_transformers(base, tmp_path):
    from sentence_transformers import CrossEncoder as Peer

    assert main(["run", *base, *SMALL, "study=s"]) == 0
    folder = folder_of(tmp_path)
    reranked = Run.read(folder / "reranked.trec")
    query_id, ranking = next((q, r) for q, r in reranked.rankings.items() if len(r) > 3)
    corpus = (tmp_path / "toy" / "corpus.jsonl").read_text().splitlines()
    texts = {record["_id"]: record["text"] for record in map(json.loads, corpus)}
    topics = (tmp_path / "toy" / "queries.jsonl").read_text().splitlines()
    queries = {record["_id"]: record["text"] for record in map(json.loads, topics)}
    pairs = [(queries[query_id], texts[doc.doc_id]) for doc in ranking]
    scores = Peer(str(folder / "checkpoint"), device="cpu").predict(pairs)
    assert [doc.score for doc in ranking] == pytest.approx(scores.tolist(), abs=1e-4)


def test_the_same_command_gives_the_same_run_with_and_without_the_store(base, tmp_path):
    runs = []
    for output in ("one", "two"):
        words = ["run", *base, *SMALL, "study=s", f"output={tmp_path / output}"]
        assert main(words) == 0
        runs.append((tmp_path / output).rglob("reranked.trec").__next__().read_bytes())
    assert runs[0] == runs[1]
    assert main(["run", *base, *SMALL, "study=s", f"output={tmp_path / 'one'}", "reuse=false"]) == 0
    assert (tmp_path / "one").rglob("reranked.trec").__next__().read_bytes() == runs[0]


def test_a_sweep_is_collated_and_a_second_one_reuses_what_was_finished(
    base, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    others = [word for word in base if word != "retriever=bm25"]
    sweep = ["run", "-m", *others, *SMALL, "study=s", "retriever=bm25,random", "seed=0,1"]
    assert main(sweep) == 0
    table = capsys.readouterr().out
    assert table.count("| random.cross_encoder") == 2  # alone and interpolated
    assert "±" in table
    assert not (tmp_path / "multirun.yaml").exists()  # everything lies under output
    for name in (
        "table.md",
        "table.csv",
        "table.tex",
        "table.html",
        "quality_latency.png",
        "quality_latency.svg",
    ):
        assert (tmp_path / "out" / "s" / name).stat().st_size > 100
    finished = folder_of(tmp_path)
    stamp = (finished / "result.json").stat().st_mtime_ns
    (folder_of(tmp_path, "random", seed=1) / "result.json").unlink()  # as after an interruption
    assert main(sweep) == 0
    assert (finished / "result.json").stat().st_mtime_ns == stamp
    assert result_of(folder_of(tmp_path, "random", seed=1))["status"] == "done"


@pytest.mark.ci  # two processes import torch
def test_hardware_targets_that_sum_in_one_order_share_a_checkpoint(base, tmp_path, capsys):
    targets = "hardware=cpu,cpu_onnx,ddp_cpu_x2"
    label = "label=${hydra:runtime.choices.hardware}"
    fixed = ["training.precision=fp32", "interpolate=false", "cache.enabled=false"]
    assert main(["run", "-m", *base, *SMALL, *fixed, "study=s", targets, label]) == 0
    table = capsys.readouterr().out
    assert re.search(r"onnx fp32 \| +1\.0000 passes", table)
    assert len(list((tmp_path / "out" / "store").glob("checkpoints/*/manifest.json"))) == 2
    folders = {result_of(path.parent)["label"]: path.parent for path in find_results(tmp_path)}
    one, onnx, two = (folders[name] for name in ("cpu", "cpu_onnx", "ddp_cpu_x2"))
    scores, exported = (read_run(folder / "reranked.trec") for folder in (one, onnx))
    for pair, score in scores.items():
        assert exported[pair] == pytest.approx(score, abs=1e-4)
    alone, together = (result_of(folder)["training"] for folder in (one, two))
    for count in ("steps", "pairs", "tokens", "groups"):
        assert alone[count] == together[count]  # the batches are the same ones


def find_results(tmp_path):
    return sorted((tmp_path / "out").rglob("result.json"))


def test_one_checkpoint_serves_several_first_stages(base, tmp_path):
    fixed = [word for word in base if word != "retriever=bm25"]
    fixed += [*SMALL, "interpolate=false", "latency_queries=0", "study=s"]
    sweep = ["retriever=bm25,random", "retriever@validation_retriever=bm25"]
    assert main(["run", *fixed, "-m", *sweep]) == 0  # a flag may stand between overrides
    assert len(list((tmp_path / "out" / "store").glob("checkpoints/*/manifest.json"))) == 1
    one, other = (path.parent for path in (tmp_path / "out" / "s").rglob("result.json"))
    assert result_of(one)["training"] == result_of(other)["training"]
    assert result_of(one)["first_stage_measures"] != result_of(other)["first_stage_measures"]


def test_a_checkpoint_is_chosen_on_as_many_candidates_whatever_is_reranked(base, tmp_path):
    found = []
    for depth in (1, 10):
        words = [word for word in [*base, *SMALL] if not word.startswith(("output=", "depth="))]
        words += [f"output={tmp_path / f'out{depth}'}", f"depth={depth}", "study=s"]
        assert main(["run", *words, "latency_queries=0", "interpolate=false"]) == 0
        (result,) = (tmp_path / f"out{depth}" / "s").rglob("result.json")
        found.append(json.loads(result.read_text())["training"]["best dev MRR@10"])
    assert found[0] == found[1]


def read_run(path):
    lines = (line.split() for line in path.read_text().splitlines())
    return {(query, doc): float(score) for query, _, doc, _, score, _ in lines}


def test_an_interruption_ends_with_130_and_leaves_no_half_finished_artefact(
    base, tmp_path, monkeypatch, caplog
):
    from recross.training.module import RankingModule

    whole_step = RankingModule.training_step

    def interrupted(self, step, number):
        if number == 2:
            raise KeyboardInterrupt
        return whole_step(self, step, number)

    words = ["run", *base, *SMALL, "study=s"]
    with monkeypatch.context() as patch:
        patch.setattr(RankingModule, "training_step", interrupted)
        assert main(words) == 130
    assert "run the same command again to go on" in caplog.text
    assert not list((tmp_path / "out" / "store" / "checkpoints").glob("*/manifest.json"))
    runs = sorted((tmp_path / "out" / "store" / "runs").glob("*/run.trec"))
    stamps = [path.stat().st_mtime_ns for path in runs]
    assert main(words) == 0
    assert result_of(folder_of(tmp_path))["status"] == "done"
    assert [path.stat().st_mtime_ns for path in runs] == stamps  # what was finished is reused


def test_a_failing_cell_does_not_stop_the_others(base, tmp_path, caplog):
    Run.from_scores("x", {"q0": {"unknown": 1.0}}).write(tmp_path / "bad.trec")
    words = ["run", "-m", *base, *SMALL, "study=s", "training=none", "reranker=none,oracle"]
    dropped = ("reranker.", "reranker=cross", "training.", "retriever=bm25")
    words = [w for w in words if not w.startswith(dropped)]
    words += ["retriever=run_file", f"retriever.path={tmp_path / 'bad.trec'}"]
    assert main(words) == 1
    assert "got 'unknown'" in caplog.text
    failed = result_of(folder_of(tmp_path, "run_file.none"))
    assert failed["status"] == "failed"
    assert "got 'unknown'" in failed["error"]


def test_a_run_file_that_changed_is_read_again(tmp_path, beir_folder):
    first = Run.from_scores("x", {f"q{n}": {f"d{n}": 2.0, "d1": 1.0} for n in range(0, 96, 5)})
    words = ["run", "collection=files", f"collection.folder={beir_folder}", "reranker=none"]
    words += ["retriever=run_file", f"retriever.path={tmp_path / 'x.trec'}", "study=s"]
    words += [f"output={tmp_path / 'out'}", "latency_queries=0"]
    found = []
    for run in (first, Run.from_scores("y", {q: {"d1": 1.0} for q in first.rankings})):
        run.write(tmp_path / "x.trec")
        assert main(words) == 0
        found.append(result_of(folder_of(tmp_path, "run_file.none"))["measures"]["MRR@10"])
    assert found == [1.0, 0.0]


def test_retrieve_then_rerank_then_evaluate(tmp_path, capsys, beir_folder):
    collection = ["collection=files", f"collection.folder={beir_folder}", f"output={tmp_path}"]
    assert main(["retrieve", *collection, "retriever=bm25", "depth=12"]) == 0
    again = ["rerank", *collection, "reranker=oracle", f"candidates={tmp_path / 'retrieved.trec'}"]
    assert main(again) == 0
    first, second = (Run.read(tmp_path / f"{n}.trec") for n in ("retrieved", "reranked"))
    assert {q: sorted(first.doc_ids(q)) for q in first.rankings} == {
        q: sorted(second.doc_ids(q)) for q in second.rankings
    }
    qrels = str(beir_folder / "qrels" / "test.tsv")
    files = [str(tmp_path / "retrieved.trec"), str(tmp_path / "reranked.trec")]
    assert main(["evaluate", *files, "--qrels", qrels, "--measures", "MRR@10"]) == 0
    printed = capsys.readouterr().out
    assert "MRR@10" in printed
    assert "1.0000 [1.0000, 1.0000]" in printed
    assert "p (randomisation)" in printed


def test_queries_that_are_documents_find_themselves_unless_identical_ids_are_ignored(
    tmp_path, caplog
):
    claims = {"zoo": "zoos keep animals safe", "zoo-con": "zoos keep animals in cages"}
    queries = {"zoo": claims["zoo"]}
    judged = {"test": {"zoo": {"zoo-con": 1}}}
    write_beir(tmp_path, Collection("toy", claims, queries, {"test": ("zoo",)}, judged, "toy"))
    words = ["collection=files", f"collection.folder={tmp_path}", f"output={tmp_path / 'out'}"]
    fixed = ["retriever=bm25", "reranker=none", "latency_queries=0", "measures=[RR]", "study=s"]
    found = []
    for name, ignored in (("with", "false"), ("without", "true")):
        switch = [f"collection.ignore_identical_ids={ignored}", f"name={name}"]
        assert main(["run", *words, *fixed, *switch]) == 0
        result = result_of(folder_of(tmp_path, name))
        found.append((result["measures"]["RR"], result["left_out"]))
    assert found == [(0.5, 0), (1.0, 1)]
    assert "1 queries are documents themselves" in caplog.text
    assert main(["retrieve", *words, "retriever=bm25"]) == 0
    again = ["reranker=none", f"candidates={tmp_path / 'out' / 'retrieved.trec'}"]
    assert main(["rerank", *words, "collection.ignore_identical_ids=true", *again]) == 0
    assert Run.read(tmp_path / "out" / "reranked.trec").doc_ids("zoo") == ["zoo-con"]


def test_train_stops_at_the_checkpoint(base, tmp_path):
    assert main(["train", *base, *SMALL, "study=s"]) == 0
    folder = folder_of(tmp_path)
    assert (folder / "checkpoint" / "model.safetensors").is_file()
    assert not (folder / "reranked.trec").exists()


def wandb_records(path):
    """Records of an offline wandb file: LevelDB's log format, blocks of 32 KiB after 7 bytes."""
    from wandb.proto import wandb_internal_pb2

    data, at, parts = path.read_bytes(), 7, []
    while at + 7 <= len(data):
        if 32768 - at % 32768 < 7:  # too little room for a header: padding
            at += 32768 - at % 32768
            continue
        _, size, kind = struct.unpack("<IHB", data[at : at + 7])
        parts.append(data[at + 7 : at + 7 + size])
        at += 7 + size
        if kind in (1, 4):  # a whole record, or the last part of one
            record = wandb_internal_pb2.Record()
            record.ParseFromString(b"".join(parts))
            parts = []
            yield record


def item_key(item):
    return item.key or "/".join(item.nested_key)


def test_the_users_table_shows_given_published_and_measured_values(tmp_path, beir_folder, capsys):
    words = ["run", "experiment=msmarco_table", "collection=files", "latency_queries=2"]
    words += ["hardware=cpu"]  # a probe of a loaded machine may find bf16 faster
    words += [f"collection.folder={beir_folder}", f"output={tmp_path / 'out'}"]
    words += ["retriever.checkpoint=embedded:all-minilm-l6-v2"]
    checkpoint = save_tiny(tmp_path / "tiny")
    assert main([*words, "reranker=none"]) == 0
    assert main([*words, "reranker=minilm_l6", f"reranker.checkpoint={checkpoint}"]) == 0
    lines = capsys.readouterr().out.splitlines()
    last = {line.split("|")[1].strip(): line for line in lines if line.startswith("| bi-encoder")}
    result = result_of(folder_of(tmp_path, "biencoder.minilm_l6", "msmarco_table"))
    measured = f"{result['measures']['MRR@10']:.4f}"
    assert all(v in last["bi-encoder + minilm_l6"] for v in ("0.389", "0.3901", measured))
    assert last["bi-encoder + bert_large"].count("–") >= 5  # given and published, not measured
    assert "0.428" in last["bi-encoder + bert_large"]
    assert main(["table", str(tmp_path / "out" / "msmarco_table"), "--check"]) == 1


def finished_records(file, patience_seconds=60):
    """All records of a run; another process writes them, on a busy machine a little later."""
    until = time.monotonic() + patience_seconds
    while True:
        records = list(wandb_records(file))
        losses = sum(item_key(item) == "loss" for record in records for item in record.history.item)
        if losses >= 4 or time.monotonic() > until:
            return records
        time.sleep(0.5)


def test_wandb_writes_an_offline_run_that_can_be_read_back(base, tmp_path):
    assert main(["run", *base, *SMALL, "study=s", "tracking=wandb"]) == 0
    (file,) = folder_of(tmp_path).glob("wandb/offline-run-*/run-*.wandb")
    steps, summary, config, group = [], {}, {}, set()
    for record in finished_records(file):
        steps += [[item_key(item) for item in record.history.item]] if record.history.item else []
        summary |= {item_key(item): item.value_json for item in record.summary.update}
        config |= {item_key(item): item.value_json for item in record.run.config.update}
        group |= {record.run.run_group} if record.run.run_group else set()
    assert sum("loss" in keys for keys in steps) == 4
    assert sum("dev MRR@10" in keys for keys in steps) == 2
    result = result_of(folder_of(tmp_path))
    assert float(summary["measures/MRR@10"]) == pytest.approx(result["measures"]["MRR@10"])
    assert json.loads(config["depth"]) == 10
    assert group == {"s"}
    (table,) = folder_of(tmp_path).glob("wandb/offline-run-*/files/media/table/result*.json")
    assert "measures/MRR@10" in json.loads(table.read_text())["columns"]


@pytest.mark.parametrize(
    "words, message",
    [
        (["run", "retriever=bm52"], "retriever: must be one of .* got 'bm52'; did you mean bm25"),
        (["run", "negatives.depth=ten"], "negatives.depth: .* got 'ten'"),
        (
            ["run", "collection=files", "collection.folder=/no/such"],
            "collection.folder: must be a path that exists, got '/no/such'",
        ),
        (["run", "-m", "depth=0,1"], "depth: must be at least 1, got 0"),
        (["run", "-m", "name=x", "depth=2,3"], "cells of a sweep must differ in what they write"),
        (["run", "depth=1,2"], "depth"),
        (["run", "depth"], "depth"),
        (["fly"], "command must be one of run, .* got 'fly'"),
        (["rerank", "candidates=/no/such.trec"], "candidates: must be a path that exists"),
        (["table", "/no/such"], "table needs folders of experiments, got '/no/such'"),
        (
            ["train", "reranker=oracle", "collection=files", "collection.folder=/no"],
            "collection.folder: must be a path that exists, got '/no'",
        ),
        (
            ["run", "retriever=official"],
            "retriever.datasets: Interpolation key 'collection.splits' not found",
        ),
        (["run", "measures=[MRR10]"], "measures: must be names such as .* got 'MRR10'"),
    ],
)
def test_wrong_input_is_one_clear_error_and_exit_code_two(
    words, message, tmp_path, monkeypatch, caplog, capsys
):
    monkeypatch.chdir(tmp_path)  # some write their config before they find the fault
    assert main(words) == 2
    assert caplog.messages[-1].startswith("recross: ")
    assert re.search(message, caplog.text)
    assert "Traceback" not in caplog.text + capsys.readouterr().err


def test_an_empty_qrels_file_and_a_run_of_unknown_documents_are_refused(base, tmp_path, caplog):
    Run.from_scores("x", {"q0": {"zzz": 1.0}}).write(tmp_path / "bad.trec")
    words = [word for word in base if "reranker" not in word and "retriever" not in word]
    words += ["reranker=none", "retriever=run_file", f"retriever.path={tmp_path / 'bad.trec'}"]
    assert main(["run", *words]) == 2
    assert "must name documents of 'toy', got 'zzz'" in caplog.text
    (tmp_path / "toy" / "qrels" / "test.tsv").write_text("")
    assert main(["run", *base, *SMALL]) == 2
    assert "must hold at least one judgment" in caplog.text


def test_about_commands_say_what_there_is(capsys):
    assert main(["options"]) == 0
    assert "biencoder" in capsys.readouterr().out
    assert main(["doctor"]) == 0
    said = capsys.readouterr().out
    assert "recommended" in said
    assert "attention, fp32" in said
    assert main(["--help"]) == 0
    assert main([]) == 2


def test_the_network_of_a_re_ranker_of_passages_is_trained_and_others_are_left(base, tmp_path):
    tiny = base[4].removeprefix("reranker.")
    shared = [word for word in base if not word.startswith("reranker")]
    passages = ["reranker=maxp", "reranker@reranker.reranker=cross_encoder", "reranker.words=4"]
    inner = [f"reranker.reranker.{tiny}", "reranker.reranker.fresh_head=true", "reranker.stride=2"]
    inner += ["reranker.reranker.max_length=32"]
    assert main(["run", *shared, *SMALL, *passages, *inner, "study=s"]) == 0
    result = result_of(folder_of(tmp_path, "bm25.maxp"))
    assert result["training"]["steps"] == 4
    assert result["parameters"] > 0
    assert result["cost"]["pairs"] > sum(
        map(len, Run.read(folder_of(tmp_path, "bm25.maxp") / "candidates.trec").rankings.values())
    )
    untrained = ["reranker=maxp", "reranker@reranker.reranker=oracle", "study=t"]
    assert main(["run", *shared, *SMALL, *untrained]) == 0
    assert result_of(folder_of(tmp_path, "bm25.maxp", "t"))["training"] == {}


def test_a_study_computed_again_takes_its_scores_from_the_cache(base, tmp_path, capsys):
    words = ["run", *base, *SMALL, "study=s"]
    assert main(words) == 0
    first = result_of(folder_of(tmp_path))
    assert first["cache"]["hits"] == 0 < first["cache"]["misses"]
    run = (folder_of(tmp_path) / "reranked.trec").read_bytes()
    assert main([*words, "reuse=false"]) == 0
    second = result_of(folder_of(tmp_path))
    assert second["cache"] == {"hits": first["cache"]["misses"], "misses": 0, "damaged": 0}
    assert second["latency_ms_per_100"]["forward"] > 0  # timed for real, cache off
    assert (folder_of(tmp_path) / "reranked.trec").read_bytes() == run
    capsys.readouterr()
    scores = str(tmp_path / "out" / "store" / "scores")
    assert main(["cache", "stats", scores]) == 0
    assert "MB" in capsys.readouterr().out
    assert main(["cache", "verify", scores]) == 0
    assert "0 damaged entries" in capsys.readouterr().out
    assert main(["cache", "clear", scores]) == 0
    capsys.readouterr()
    assert main(["cache", "stats", scores]) == 0
    assert ": 0 scores" in capsys.readouterr().out


def test_the_cache_can_be_left_out(base, tmp_path):
    assert main(["run", *base, *SMALL, "study=s", "cache.enabled=false"]) == 0
    assert result_of(folder_of(tmp_path))["cache"] == {"hits": 0, "misses": 0, "damaged": 0}
    assert not (tmp_path / "out" / "store" / "scores").exists()


def test_a_server_that_is_not_there_is_one_message(base, tmp_path, capsys, caplog):
    candidates = tmp_path / "c.trec"
    candidates.write_text("q0 Q0 d0 1 2.0 x\nq0 Q0 d9 2 1.0 x\n")
    words = [word for word in base if word.startswith(("collection", "output"))]
    words += ["reranker=listwise_endpoint", "reranker.generator.base_url=http://127.0.0.1:9"]
    words += ["reranker.generator.model=m", "reranker.generator.patience.max_retries=0"]
    assert main(["rerank", *words, f"candidates={candidates}"]) == 1
    assert "http://127.0.0.1:9 gave no answer" in caplog.text
    assert "Traceback" not in caplog.text + capsys.readouterr().err


@pytest.mark.parametrize(
    "words, message",
    [
        (
            ["reranker=cross_encoder", "reranker.checkpoint=nowhere", "training=none"],
            "checkpoint: must be a folder that is there, or a hub id",
        ),
        (
            ["reranker=dual_encoder", "training.first_stage_weight=1"],
            "training.first_stage_weight must be 0 for in-batch negatives",
        ),
        (["loss=answer"], "loss must be one over scores for a network with a single output"),
    ],
)
def test_what_cannot_be_trained_or_scored_is_refused_before_any_stage(
    base, tmp_path, caplog, words, message
):
    given = [word for word in base if not word.startswith("reranker") or len(words) == 1]
    assert main(["run", *given, *words]) == 2
    assert message in caplog.text
    assert not list(tmp_path.rglob("negatives"))
    assert not list(tmp_path.rglob("runs"))


@pytest.mark.parametrize(
    "words, message",
    [
        (["retriever=biencoder", "retriever.checkpoint=no/where"], "'no/where'"),
        (["retriever=splade", "retriever.checkpoint=no/where"], "'no/where'"),
        (["retriever=colbert", "retriever.checkpoint=no/where"], "'no/where'"),
        (
            ["retriever=run_file", "retriever.path=no/where"],
            "path: must be a path that exists, got 'no/where'",
        ),
        (["retriever=hybrid", "retriever.retrievers.biencoder.checkpoint=no/where"], "'no/where'"),
    ],
)
@pytest.mark.parametrize("command", ["run", "retrieve"])
def test_a_first_stage_that_is_not_there_is_refused_before_the_collection_is_read(
    base, caplog, monkeypatch, words, message, command
):
    monkeypatch.setattr(BeirFolder, "load", lambda _: pytest.fail("the collection was read"))
    kept = ("collection", "output") if command == "retrieve" else ("collection", "rerank", "output")
    assert main([command, *(word for word in base if word.startswith(kept)), *words]) == 2
    assert message in caplog.text
