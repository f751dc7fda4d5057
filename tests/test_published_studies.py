"""The table of the user, every row: MS MARCO in miniature, tiny checkpoints in the hub's cache."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from recross.checkpoints import locate
from recross.cli import main
from recross.config import composed, options, resolved
from tests.conftest import save_tiny
from tests.miniature_ir_datasets import DEV

REVISION = "0" * 40


def place(hub: Path, name: str) -> Path:
    """The folder in which the hub's cache keeps a checkpoint of this id."""
    repository = hub / f"models--{name.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(REVISION)
    return repository / "snapshots" / REVISION


@pytest.fixture
def hub(tmp_path):
    """A cache of the hub with a tiny checkpoint for every id that the table names."""
    rows = composed("run", ["experiment=msmarco_table"]).hydra.sweeper.params.row.split(",")
    cells = [resolved(composed("run", ["experiment=msmarco_table", f"row={row}"])) for row in rows]
    for cell in cells:
        name = cell["reranker"].get("checkpoint")
        if name:
            labels = 2 if name.startswith("nboost/") else 1
            save_tiny(place(tmp_path / "hub", name), labels=labels, max_position_embeddings=512)
    retriever = place(tmp_path / "hub", cells[0]["retriever"]["checkpoint"])
    shutil.copytree(locate("embedded:all-minilm-l6-v2"), retriever)
    return tmp_path / "hub"


@pytest.mark.slow
def test_every_row_of_the_users_table_runs_on_the_miniature(tmp_path, hub, ir_datasets_home):
    words = ["run", "experiment=msmarco_table", f"output={tmp_path / 'out'}", "latency_queries=1"]
    environment = os.environ | {
        "HF_HUB_CACHE": str(hub),
        "HF_HUB_OFFLINE": "1",
        "IR_DATASETS_HOME": str(ir_datasets_home),
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "recross"]
    done = subprocess.run(
        [*command, *words, "hardware=cpu"], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    results = [json.loads(path.read_text()) for path in (tmp_path / "out").rglob("result.json")]
    assert len(results) == 5
    assert {result["queries"]["scored"] for result in results} == {len(DEV)}
    assert "msmarco_table" in options()["experiment"]
    table = {line.split("|")[1].strip(): line for line in done.stdout.splitlines() if "|" in line}
    for result in results:
        assert f"{result['measures']['MRR@10']:.4f}" in table[result["label"]]
    checked = subprocess.run(
        [*command, "table", str(tmp_path / "out" / "msmarco_table"), "--check"],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert checked.returncode == 1
    assert len(re.findall(r"not comparable \|", checked.stdout)) == 4  # published: BM25's top 1000
    assert "missed: msmarco_table: bi-encoder only: MRR@10 1.0000" in checked.stderr


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
