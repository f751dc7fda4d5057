"""Search on a device, with a processor's tensors, equals search on the processor."""

import numpy as np
import pytest
import torch

from recross.artefacts.manifest import MANIFEST
from recross.retrieval import approximate_index, device_search, vector_index
from recross.retrieval.approximate_index import HNSW, IVF
from recross.retrieval.device_search import search_on_device
from recross.retrieval.document_vectors import DocumentVectors
from recross.retrieval.vector_index import Exact, VectorSearch, search_exactly

CPU = torch.device("cpu")


def stored(vectors):
    return DocumentVectors(vectors.astype(np.float16), [str(row) for row in range(len(vectors))])


def unit(rng, *shape):
    drawn = rng.normal(size=shape)
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


def assert_same_matches(found, expected):
    assert len(found) == len(expected)
    for (rows, scores), (other_rows, other_scores) in zip(found, expected, strict=True):
        own, other = np.argsort(rows), np.argsort(other_rows)
        assert rows[own].tolist() == other_rows[other].tolist()
        np.testing.assert_allclose(scores[own], other_scores[other], atol=1e-6)


@pytest.mark.parametrize("rows_at_once", [1, 64, 100, 1000])
@pytest.mark.parametrize("depth", [1, 10, 300, 1000])
def test_the_best_of_blocks_of_any_size_are_those_of_the_processor(
    depth, rows_at_once, monkeypatch
):
    monkeypatch.setattr(device_search, "QUERIES_AT_ONCE", 3)
    rng = np.random.default_rng(0)
    documents, queries = stored(unit(rng, 333, 16)), unit(rng, 7, 16)
    found = search_on_device(documents, queries, depth, CPU, rows_at_once)
    assert_same_matches(found, search_exactly(documents, queries, depth))


@pytest.mark.parametrize("copies", [2, 20, 60, 300])
def test_all_that_tie_at_the_depth_are_found_however_many(copies, monkeypatch):
    monkeypatch.setattr(device_search, "QUERIES_AT_ONCE", 2)
    rng = np.random.default_rng(1)
    vectors, queries = unit(rng, 400, 16), unit(rng, 5, 16)
    same = rng.permutation(400)[:copies]
    vectors[same] = queries[3]
    documents = stored(vectors)
    found = search_on_device(documents, queries, 2, CPU, 64)
    assert_same_matches(found, search_exactly(documents, queries, 2))
    assert sorted(found[3].rows.tolist()) == sorted(same.tolist())
    assert len(set(found[3].scores.tolist())) == 1


def test_no_queries_and_no_documents_match_nothing():
    rng = np.random.default_rng(2)
    assert search_on_device(stored(unit(rng, 3, 4)), np.empty((0, 4), np.float32), 2, CPU) == []
    (nothing,) = search_on_device(stored(np.empty((0, 4))), unit(rng, 1, 4), 2, CPU)
    assert len(nothing.rows) == 0


def test_the_callers_precision_of_products_is_put_back():
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        rng = np.random.default_rng(3)
        search_on_device(stored(unit(rng, 5, 4)), unit(rng, 1, 4), 2, CPU)
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision(before)


@pytest.mark.parametrize(("device", "expected"), [("cpu", "processor"), ("cuda", "device")])
def test_the_exact_index_is_searched_where_the_hardware_is(device, expected, monkeypatch):
    monkeypatch.setattr(vector_index, "search_exactly", lambda *_: "processor")
    monkeypatch.setattr(device_search, "search_on_device", lambda *_: "device")
    documents, queries = stored(np.eye(4)), np.eye(4, dtype=np.float32)
    search = VectorSearch(documents, queries, 1, None, torch.device(device))
    assert Exact().find(search) == expected


@pytest.mark.parametrize(
    ("index", "has_gpu_build", "depth", "copied"),
    [
        (IVF(lists=2, probes=2), True, 3, 1),
        (IVF(lists=2, probes=2), False, 3, 0),
        (IVF(lists=2, probes=2), True, 100, 0),
        (HNSW(), True, 3, 0),
    ],
)
def test_cells_are_searched_on_a_gpu_where_faiss_is_built_for_it(
    index, has_gpu_build, depth, copied, tmp_path, monkeypatch
):
    calls = []
    monkeypatch.setattr(approximate_index, "copy_to_gpu", lambda own: calls.append(own) or own)
    monkeypatch.setattr(approximate_index, "MOST_ON_GPU", 50)
    if has_gpu_build:
        monkeypatch.setattr(approximate_index.faiss, "StandardGpuResources", object, raising=False)

    def keep(_settings, make):
        make(tmp_path)
        (tmp_path / MANIFEST).touch()
        return tmp_path

    rng = np.random.default_rng(4)
    documents, queries = stored(unit(rng, 200, 8)), unit(rng, 2, 8)
    found = index.find(VectorSearch(documents, queries, depth, keep, torch.device("cuda")))
    assert len(calls) == copied
    assert all(len(matches.rows) <= depth for matches in found)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_finds_what_the_processor_finds():
    rng = np.random.default_rng(5)
    vectors, queries = unit(rng, 5000, 64), unit(rng, 40, 64)
    vectors[::50] = queries[0]
    documents = stored(vectors)
    found = search_on_device(documents, queries, 10, torch.device("cuda"), 1024)
    assert sorted(found[0].rows.tolist()) == list(range(0, 5000, 50))
    for own, expected in zip(found[1:], search_exactly(documents, queries[1:], 10), strict=True):
        assert set(own.rows.tolist()) == set(expected.rows.tolist())
