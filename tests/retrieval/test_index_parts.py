"""Indexes built in parts find what those built at once find, and no part is built twice."""

import numpy as np
import pytest
import torch

from recross.errors import InputError
from recross.retrieval import index_parts
from recross.retrieval.approximate_index import HNSW, IVF, IVFPQ
from recross.retrieval.document_vectors import DocumentVectors
from recross.retrieval.vector_index import VectorSearch, search_exactly
from recross.store import Store

COUNT, DIMENSION = 1000, 16
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def documents():
    drawn = np.random.default_rng(0).normal(size=(COUNT, DIMENSION))
    unit = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    return DocumentVectors(unit.astype(np.float16), [f"d{n}" for n in range(COUNT)])


@pytest.fixture(scope="module")
def queries(documents):
    noise = np.random.default_rng(1).normal(size=(40, DIMENSION))
    return (documents.vectors[:40] + 0.1 * noise).astype(np.float32)


def find(store, index, documents, queries, depth=10):
    def keep(settings, make):
        return Store(store).artefact("faiss", settings, make, resumable=True)

    return index.find(VectorSearch(documents, queries, depth, keep, CPU))


def as_sets(found):
    return [dict(zip(rows.tolist(), scores.tolist(), strict=True)) for rows, scores in found]


@pytest.mark.parametrize(
    "index", [IVF(lists=8, probes=3), IVFPQ(8, 3, 8), IVFPQ(8, 3, 8, rescored=0)]
)
def test_merged_parts_find_what_one_index_finds(tmp_path, monkeypatch, documents, queries, index):
    whole = find(tmp_path / "whole", index, documents, queries)
    monkeypatch.setattr(index_parts, "VECTORS_PER_PART", 300)
    monkeypatch.setattr(index_parts, "_QUERIES_AT_ONCE", 7)
    parts = find(tmp_path / "parts", index, documents, queries)
    for ours, expected in zip(as_sets(parts), as_sets(whole), strict=True):
        assert ours == pytest.approx(expected, abs=1e-6)  # products of other shapes
    (folder,) = (path for path in (tmp_path / "parts" / "faiss").iterdir() if path.is_dir())
    files = {path.name for path in folder.iterdir()}
    assert files == {"index.faiss", "index.lists", "manifest.json"}


def test_graphs_of_parts_searched_wide_find_what_the_exact_index_finds(
    tmp_path, monkeypatch, documents, queries
):
    monkeypatch.setattr(index_parts, "VECTORS_PER_PART", 300)
    found = find(tmp_path, HNSW(search=300), documents, queries)
    assert len(list((tmp_path / "faiss").glob("*/part_*.faiss"))) == 4
    for ours, exact in zip(found, search_exactly(documents, queries, 10), strict=True):
        assert sorted(ours.rows.tolist()) == sorted(exact.rows.tolist())


@pytest.mark.parametrize(
    "index", [HNSW(), IVF(8, 3), IVFPQ(8, 3, 8)], ids=lambda i: type(i).__name__
)
@pytest.mark.parametrize("death", [0, 2])
def test_a_part_that_was_built_is_never_built_again(
    tmp_path, monkeypatch, documents, queries, index, death
):
    monkeypatch.setattr(index_parts, "VECTORS_PER_PART", 300)
    built = []

    def add(target, vectors, start, stop, add=index_parts._add, **settings):
        if start == death * 300 and len(built) == death:
            built.append("died")
            raise KeyboardInterrupt
        built.append(start)
        add(target, vectors, start, stop, **settings)

    monkeypatch.setattr(index_parts, "_add", add)
    with pytest.raises(KeyboardInterrupt):
        find(tmp_path / "a", index, documents, queries)
    found = find(tmp_path / "a", index, documents, queries)
    assert [start for start in built if start != "died"] == [0, 300, 600, 900]
    assert as_sets(found) == as_sets(find(tmp_path / "b", index, documents, queries))


def test_rescored_documents_have_their_exact_products(tmp_path, documents, queries):
    wide = IVFPQ(lists=8, probes=8, bytes=8, rescored=100)  # all documents are rescored
    exact = search_exactly(documents, queries, 10)
    for ours, expected in zip(find(tmp_path, wide, documents, queries), exact, strict=True):
        assert dict(zip(*ours, strict=True)) == pytest.approx(
            dict(zip(*expected, strict=True)), abs=1e-6
        )


def test_an_index_holds_codes_and_numbers_of_documents_alone(tmp_path, documents, queries):
    find(tmp_path, IVFPQ(lists=8, probes=8, bytes=2), documents, queries)
    (file,) = (tmp_path / "faiss").glob("*/index.faiss")
    codebook = CODEBOOK_BYTES + 8 * DIMENSION * 4
    assert file.stat().st_size < COUNT * (2 + 8) + codebook + 2000  # 8 bytes are a number


CODEBOOK_BYTES = 256 * DIMENSION * 4


@pytest.mark.parametrize(
    "settings, count, message",
    [
        ({"bytes": 5}, COUNT, "bytes must divide the 16 numbers of a vector, got 5"),
        ({"bytes": 8}, 200, "at least 256 documents to learn codes from, got 200"),
    ],
)
def test_what_cannot_be_coded_is_refused(tmp_path, documents, queries, settings, count, message):
    few = DocumentVectors(documents.vectors[:count], documents.doc_ids[:count])
    with pytest.raises(InputError, match=message):
        find(tmp_path, IVFPQ(lists=8, probes=8, **settings), few, queries)


def test_more_probes_than_lists_are_refused():
    with pytest.raises(InputError, match=r"probes must lie in \[1, lists=4\], got 5"):
        IVFPQ(lists=4, probes=5)
