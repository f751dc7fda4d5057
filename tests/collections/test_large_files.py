"""A large file of documents is the same collection, read from the disk."""

import json

import pytest

from recross.collections import large_files
from recross.collections.files import BeirFolder, TrecFiles
from recross.collections.stored_documents import StoredDocuments
from recross.errors import InputError

CORPUS = [
    {"_id": "d1", "title": "A title", "text": "and a text"},
    {"_id": "d2", "title": "", "text": "zwölf"},
    {"_id": "d3", "text": "two\nlines"},
]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "beir" / "qrels").mkdir(parents=True)
    write(tmp_path / "beir" / "corpus.jsonl", CORPUS)
    write(tmp_path / "beir" / "queries.jsonl", [{"_id": "q1", "text": "what"}])
    qrels = "query-id\tcorpus-id\tscore\nq1\td2\t1\n"
    (tmp_path / "beir" / "qrels" / "test.tsv").write_text(qrels)
    return tmp_path / "beir"


def write(path, records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


def test_a_large_beir_folder_is_the_collection_that_a_small_one_is(tmp_path, folder, monkeypatch):
    source = BeirFolder(folder, store=tmp_path / "store")
    small = source.load()
    monkeypatch.setattr(large_files, "LARGEST_IN_MEMORY", 0)
    large = source.load()
    assert isinstance(small.documents, dict)
    assert isinstance(large.documents, StoredDocuments)
    assert list(large.documents.items()) == list(small.documents.items())
    assert large == small


def test_a_large_file_is_parsed_once(tmp_path, folder, monkeypatch):
    monkeypatch.setattr(large_files, "LARGEST_IN_MEMORY", 0)
    source = BeirFolder(folder, store=tmp_path / "store")
    first = source.load()
    monkeypatch.setattr(StoredDocuments, "write", None)
    assert source.load() == first


def test_texts_apart_by_tabs_are_read_from_the_disk_too(tmp_path, monkeypatch):
    monkeypatch.setattr(large_files, "LARGEST_IN_MEMORY", 10)
    (tmp_path / "docs.tsv").write_text("d1\tone\ttwo\n\nd2\tthree\n")
    (tmp_path / "topics.tsv").write_text("q\tone\n")
    (tmp_path / "test.qrels").write_text("q 0 d1 1\n")
    names = {"documents": "docs.tsv", "queries": "topics.tsv"}
    paths = {name: tmp_path / file for name, file in names.items()}
    judged = {"test": tmp_path / "test.qrels"}
    found = TrecFiles(**paths, qrels=judged, store=tmp_path / "store").load()
    assert isinstance(found.documents, StoredDocuments)
    assert found.documents == {"d1": "one\ttwo", "d2": "three"}


def test_an_identifier_that_comes_twice_in_a_large_file_is_refused(tmp_path, folder, monkeypatch):
    monkeypatch.setattr(large_files, "LARGEST_IN_MEMORY", 0)
    write(folder / "corpus.jsonl", [*CORPUS, CORPUS[1]])
    with pytest.raises(InputError, match=r"corpus.jsonl: .* got 'd2' again, as in line 2"):
        BeirFolder(folder, store=tmp_path / "store").load()


def test_a_malformed_line_of_a_large_file_is_named(tmp_path, folder, monkeypatch):
    monkeypatch.setattr(large_files, "LARGEST_IN_MEMORY", 0)
    write(folder / "corpus.jsonl", [*CORPUS, {"text": "no identifier"}])
    with pytest.raises(InputError, match=r"corpus.jsonl:4: "):
        BeirFolder(folder, store=tmp_path / "store").load()
