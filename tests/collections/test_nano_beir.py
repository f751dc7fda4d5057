"""NanoBEIR: every option by its own id, the parquet files behind one, a study over two."""

import json
import shutil
import sys

import ir_datasets
import pytest
from ir_datasets import lazy_libs
from ir_datasets.datasets import nano_beir

from recross.collections.ir_datasets import IrDatasets
from recross.command.catalogue import list_options
from recross.command.cli import main
from recross.errors import InputError
from tests.conftest import save_tiny
from tests.miniature_ir_datasets import PASSAGES, passage_of, read_lines, write_nano
from tests.test_configs import values

NANO = [name for name in list_options()["collection"] if name.startswith("nano_")]
OWL, FOX, BEE = (passage_of(query) for query in ("green owl", "white fox", "black bee"))
FAR = "95"
"""A passage that shares no word with a query."""


@pytest.fixture
def placed(ir_datasets_home, monkeypatch):
    """Two sets, where ir_datasets keeps them."""
    write_nano(ir_datasets_home, "quora", {"2001": [OWL, FAR], "2002": [FOX]})
    write_nano(ir_datasets_home, "nq", {"2003": [BEE]})
    monkeypatch.setattr(nano_beir, "parquet_iter", read_lines)
    yield
    shutil.rmtree(ir_datasets_home / "nano-beir")


def test_all_thirteen_are_offered_each_under_its_own_id():
    found = {name: values(f"collection={name}")["collection"] for name in NANO}
    ids = [one["splits"]["test"] for one in found.values()]
    assert len(set(ids)) == 13
    assert set(ids) <= set(ir_datasets.registry)
    for name, one in found.items():
        own = name.removeprefix("nano_").replace("_", "-")
        assert (one["splits"], one["name"]) == ({"test": f"nano-beir/{own}"}, f"nano-beir-{own}")
    excluding = {name for name, one in found.items() if one["ignore_identical_ids"]}
    assert excluding == {"nano_arguana", "nano_quora"}


@pytest.mark.usefixtures("placed")
def test_texts_and_judgments_are_read_and_a_query_is_excluded_for_itself():
    loaded = IrDatasets({"test": "nano-beir/quora"}, ignore_identical_ids=True).load()
    assert dict(loaded.documents.items()) == PASSAGES
    assert loaded.qrels("test") == {"2001": {OWL: 1, FAR: 1}, "2002": {FOX: 1}}
    assert loaded.excluded == {"2001": {"2001"}, "2002": {"2002"}}


@pytest.mark.usefixtures("placed")
def test_a_reader_of_parquet_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    monkeypatch.delitem(lazy_libs._cache, "pyarrow_parquet", raising=False)
    with pytest.raises(InputError, match=r"'nano-beir/quora' cannot be read: .* requires pyarrow"):
        IrDatasets({"test": "nano-beir/quora"}).load()


@pytest.mark.usefixtures("placed")
def test_the_study_plants_what_bm25_missed_and_its_table_has_the_means(tmp_path, capsys):
    tiny = save_tiny(tmp_path / "tiny", max_position_embeddings=512)
    words = ["run", "experiment=nano_beir", "collection=nano_quora,nano_nq", "hardware=cpu"]
    out = f"output={tmp_path / 'out'}"
    assert main([*words, "reranker=none,oracle", out]) == 0
    model = ["reranker=cross_encoder", f"reranker.checkpoint={tiny}", "retriever=planted"]
    assert main([*words, *model, out]) == 0
    study = tmp_path / "out" / "nano_beir"
    results = {
        result["label"]: result
        for result in (json.loads(path.read_text()) for path in study.rglob("result.json"))
    }
    planted = {label: result["planted"] for label, result in results.items() if result["planted"]}
    assert planted == {
        f"planted{model} on nano_quora": 1 for model in ("", " + oracle", " + cross_encoder")
    }
    assert main(["table", str(study)]) == 0
    lines = capsys.readouterr().out.splitlines()
    cells = {line.split("|")[1].strip(): line.split("|") for line in lines if line.startswith("| ")}
    header = [name.strip() for name in cells["model"]]
    shown = {name: line[header.index("nDCG@10")] for name, line in cells.items()}
    for model in (
        "BM25",
        "planted",
        "BM25 + oracle",
        "planted + oracle",
        "planted + cross_encoder",
    ):
        own = [
            results[f"{model} on nano_{name}"]["measures"]["nDCG@10"] for name in ("quora", "nq")
        ]
        assert shown[f"{model} on mean of 2"].strip().startswith(f"{sum(own) / 2:.4f}")
    assert shown["planted + oracle on mean of 2"].strip().startswith("1.0000")
    assert shown["BM25 on mean of 2"] == shown["planted on mean of 2"]
    assert "0.6312" in "".join(cells["planted + minilm_l6 on mean of 11"])
