"""A dataset of real ir_datasets classes over local files stands for the ones on the network."""

from typing import NamedTuple

import ir_datasets
import pytest

from recross.collections.ir_datasets import DocstoreDocuments, IrDatasets
from recross.errors import InputError


@pytest.fixture
def registered(tmp_path):
    (tmp_path / "docs.tsv").write_text("d1\tfirst text\nd2\tsecond text\nd3\tthird text\n")
    (tmp_path / "queries.tsv").write_text("q1\ta query\nq2\tnever judged\n")
    (tmp_path / "qrels").write_text("q1 0 d1 1\nq1 0 d2 2\n")
    dataset = ir_datasets.create_dataset(
        docs_tsv=str(tmp_path / "docs.tsv"),
        queries_tsv=str(tmp_path / "queries.tsv"),
        qrels_trec=str(tmp_path / "qrels"),
    )
    name = f"toy-{tmp_path.name}"
    ir_datasets.registry.register(name, dataset)
    return name


def test_queries_and_judgments_come_from_the_dataset(registered):
    loaded = IrDatasets({"test": registered}, relevant_from=2).load()
    assert loaded.query_ids("test") == ("q1", "q2")
    assert loaded.qrels("test") == {"q1": {"d1": 1, "d2": 2}}
    assert loaded.relevant("test", "q1") == {"d2"}


def test_instructions_are_read_where_queries_have_them(registered, monkeypatch):
    class Told(NamedTuple):
        query_id: str
        text: str
        instruction: str

        def default_text(self):
            return self.text

    assert IrDatasets({"test": registered}).load().instructions == {}
    dataset = ir_datasets.load(registered)
    queries = [Told("q1", "a query", "find it"), Told("q2", "another", "leave it")]
    handler = type(dataset.queries_handler())
    monkeypatch.setattr(handler, "queries_cls", lambda _: Told)
    monkeypatch.setattr(handler, "queries_iter", lambda _: iter(queries))
    found = IrDatasets({"test": registered}).load()
    assert found.instructions == {"q1": "find it", "q2": "leave it"}
    assert found.queries == {"q1": "a query", "q2": "another"}


def test_ignoring_identical_ids_excludes_them_and_keeps_the_texts_what_they_are(registered):
    whole = IrDatasets({"test": registered}).load()
    without = IrDatasets({"test": registered}, ignore_identical_ids=True).load()
    assert (whole.excluded, without.excluded) == ({}, {"q1": {"q1"}, "q2": {"q2"}})
    assert without.texts_fingerprint == whole.texts_fingerprint


def test_documents_are_read_when_asked_for_and_not_before(registered):
    documents = IrDatasets({"test": registered}).load().documents
    assert isinstance(documents, DocstoreDocuments)
    assert documents["d2"] == "second text"
    assert "d3" in documents
    assert "d9" not in documents
    assert len(documents) == 3
    assert dict(documents.items()) == {k: documents[k] for k in ("d1", "d2", "d3")}
    assert list(documents) == ["d1", "d2", "d3"]


def test_an_unknown_id_is_refused():
    with pytest.raises(InputError, match="must name ids of ir_datasets .* got 'no/such'"):
        IrDatasets({"test": "no/such"}).load()


def test_files_that_cannot_be_had_are_one_clear_error(registered, tmp_path):
    (tmp_path / "queries.tsv").unlink()
    with pytest.raises(InputError, match="the files of .* cannot be had"):
        IrDatasets({"test": registered}).load()
