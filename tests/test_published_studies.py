"""Studies on MS MARCO, every row: its miniature, tiny checkpoints in the hub's cache."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from recross.checkpoints.location import find_pinned_revision, locate
from recross.command.cli import main
from tests.conftest import save_tiny, save_tiny_t5
from tests.miniature_ir_datasets import DEV
from tests.test_configs import cells

REVISION = "0" * 40


def place(hub: Path, name: str) -> Path:
    """The folder in which the hub's cache keeps a checkpoint of this id."""
    repository = hub / f"models--{name.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(REVISION)
    return repository / "snapshots" / (find_pinned_revision(name) or REVISION)


def parts(node):
    """The checkpoints that a cell names, with their nodes."""
    if isinstance(node, dict):
        if isinstance(node.get("checkpoint"), str):
            yield node
        for value in node.values():
            yield from parts(value)


def fill(hub, experiment):
    """Put a tiny checkpoint of the real class into the hub's cache for every id of a study."""
    named = {part["checkpoint"]: part for cell in cells(experiment) for part in parts(cell)}
    for name, part in named.items():
        if name.startswith(("embedded:", "outputs/")):
            continue
        folder, kind = place(hub, name), part["_target_"].rpartition(".")[2]
        if kind == "BiEncoder":
            shutil.copytree(locate("embedded:all-minilm-l6-v2"), folder)
        elif kind == "CrossEncoder":
            labels = 2 if name.startswith(("nboost/", "castorini/")) else 1
            family = "electra" if "electra" in name else "bert"
            save_tiny(folder, family, labels=labels, max_position_embeddings=512)
        else:
            save_tiny_t5(folder)


@pytest.fixture
def run_study(tmp_path, ir_datasets_home):
    """Run a command on the miniature, with the checkpoints that a study names."""

    def run(experiment, *words):
        if not (tmp_path / "hub").exists():
            fill(tmp_path / "hub", experiment)
        environment = os.environ | {
            "HF_HUB_CACHE": str(tmp_path / "hub"),
            "HF_HUB_OFFLINE": "1",
            "IR_DATASETS_HOME": str(ir_datasets_home),
            "OMP_NUM_THREADS": "1",
        }
        return subprocess.run(
            [sys.executable, "-m", "recross", *words],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )

    return run


def results_of(study):
    return [json.loads(path.read_text()) for path in sorted(study.rglob("result.json"))]


@pytest.mark.ci
def test_every_row_of_the_users_table_runs_on_the_miniature(tmp_path, run_study):
    words = ["run", "experiment=msmarco_table", "latency_queries=1", "hardware=cpu"]
    done = run_study("msmarco_table", *words)
    assert done.returncode == 0, done.stderr[-3000:]
    study = tmp_path / "outputs" / "msmarco_table"
    results = results_of(study)
    assert len(results) == 5
    assert {result["queries"]["scored"] for result in results} == {len(DEV)}
    table = {line.split("|")[1].strip(): line for line in done.stdout.splitlines() if "|" in line}
    for result in results:
        assert f"{result['measures']['MRR@10']:.4f}" in table[result["label"]]
    checked = run_study("msmarco_table", "table", str(study), "--check")
    assert checked.returncode == 1
    assert len(re.findall(r"not comparable \|", checked.stdout)) == 4  # published: BM25's top 1000
    assert "missed: msmarco_table: bi-encoder: MRR@10 1.0000" in checked.stderr


TRAINED_BRIEFLY = ["training.steps=2", "training.validations=1", "training.batch_size=1"]


@pytest.mark.ci
@pytest.mark.parametrize(
    "experiment, queries, words",
    [
        ("mono_duo_msmarco", len(DEV), []),
        ("rankt5_losses_msmarco", len(DEV), TRAINED_BRIEFLY),
        ("lce_msmarco", len(DEV), TRAINED_BRIEFLY),
    ],
)
def test_every_row_of_a_reproduction_runs_on_the_miniature(
    tmp_path, run_study, experiment, queries, words
):
    done = run_study(experiment, "run", f"experiment={experiment}", "hardware=cpu", *words)
    assert done.returncode == 0, done.stderr[-3000:]
    results = results_of(tmp_path / "outputs" / experiment)
    expected = list(cells(experiment))
    assert {result["label"] for result in results} == {cell["label"] for cell in expected}
    assert len(results) == len(expected)
    assert {result["queries"]["scored"] for result in results} == {queries}
    assert all(not words or result["training"]["steps"] == 2 for result in results)


@pytest.mark.ci
def test_the_second_stages_run_first_and_train_the_first_stage_that_they_build_on(
    tmp_path, run_study
):
    order = [
        f"{query} Q0 {doc} {doc + 1} {-doc}.0 teacher"
        for query in ("1001", "1002")
        for doc in range(8)
    ]
    (tmp_path / "rank_distillm.trec").write_text("\n".join(order) + "\n")
    study = "rank_distillm_msmarco"
    words = ["run", f"experiment={study}", "hardware=cpu", *TRAINED_BRIEFLY]
    stage1 = [f"reranker.checkpoint.{word}" for word in TRAINED_BRIEFLY]
    store = tmp_path / "outputs" / "store" / "checkpoints"
    rows = [
        ("electra_ranknet", stage1, 2),
        ("electra_adr_mse", stage1, 3),
        ("electra_stage1", [], 3),
    ]
    for row, more, made in rows:
        done = run_study(study, *words, f"row=rank_distillm/{row}", *more)
        assert done.returncode == 0, done.stderr[-3000:]
        assert len(list(store.glob("*/manifest.json"))) == made
    results = results_of(tmp_path / "outputs" / study)
    assert {result["label"] for result in results} == {cell["label"] for cell in cells(study)}
    assert {result["queries"]["scored"] for result in results} == {2}
    assert {result["base_checkpoint"] for result in results} == {
        "google/electra-base-discriminator"
    }


@pytest.mark.usefixtures("ir_datasets_home")
def test_values_over_the_official_candidates_are_comparable(tmp_path, capsys):
    tiny = save_tiny(tmp_path / "tiny", max_position_embeddings=512)
    words = ["run", "experiment=official_top1000", "collection=trec_dl_2019,trec_dl_2020"]
    words += ["reranker=cross_encoder", f"reranker.checkpoint={tiny}", "hardware=cpu"]
    assert main([*words, "latency_queries=1", f"output={tmp_path / 'out'}"]) == 0
    study = tmp_path / "out" / "official_top1000"
    results = {
        result["label"]: result
        for result in (json.loads(path.read_text()) for path in study.rglob("result.json"))
    }
    assert results.keys() == {f"cross_encoder on trec_dl_{year}" for year in (2019, 2020)}
    reference = tmp_path / "reference.csv"
    reference.write_text(
        "study,label,kind,measure,value,tolerance,candidates,source\n"
        + "".join(
            f"official_top1000,{label},published,nDCG@10,{result['measures']['nDCG@10']},0.001,"
            "official top 1000,a paper\n"
            for label, result in results.items()
        )
    )
    assert main(["table", str(study), "--check", "--reference", str(reference)]) == 0
    assert capsys.readouterr().out.count(" met |") == 2
    run = next(study.rglob("candidates.trec")).read_text().splitlines()
    assert {line.split()[4] for line in run} == {"0.0"}  # a set without an order
