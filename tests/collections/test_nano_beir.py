"""NanoBEIR: every option by its own id, and the parquet files behind one."""

import json
import shutil
import sys
from pathlib import Path

import ir_datasets
import pytest
from ir_datasets import lazy_libs
from ir_datasets.datasets import nano_beir

from recross.collections.ir_datasets import IrDatasets
from recross.command.catalogue import list_options
from recross.errors import InputError
from tests.test_configs import values

NANO = [name for name in list_options()["collection"] if name.startswith("nano_")]
TEXTS = {"a": "red cat", "b": "blue dog", "q": "red bird"}


@pytest.fixture
def placed(ir_datasets_home, monkeypatch):
    """The files of one dataset where ir_datasets keeps them, JSON in place of parquet."""
    folder = ir_datasets_home / "nano-beir" / "quora"
    folder.mkdir(parents=True, exist_ok=True)
    contents = {
        "corpus": [{"_id": doc_id, "text": text} for doc_id, text in TEXTS.items()],
        "queries": [{"_id": "q", "text": "red bird"}],
        "qrels": [{"query-id": "q", "corpus-id": doc_id} for doc_id in "ab"],
    }
    for name, records in contents.items():
        lines = "".join(f"{json.dumps(record)}\n" for record in records)
        (folder / f"{name}.parquet").write_text(lines)
    monkeypatch.setattr(
        nano_beir, "parquet_iter", lambda path: map(json.loads, Path(path).read_text().splitlines())
    )
    yield
    shutil.rmtree(folder)


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
    assert dict(loaded.documents.items()) == TEXTS
    assert loaded.qrels("test") == {"q": {"a": 1, "b": 1}}
    assert loaded.excluded == {"q": {"q"}}


@pytest.mark.usefixtures("placed")
def test_a_reader_of_parquet_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    monkeypatch.delitem(lazy_libs._cache, "pyarrow_parquet", raising=False)
    with pytest.raises(InputError, match=r"'nano-beir/quora' cannot be read: .* requires pyarrow"):
        IrDatasets({"test": "nano-beir/quora"}).load()
