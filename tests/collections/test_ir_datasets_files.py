"""The files of MS MARCO, TREC DL and BEIR as ir_datasets keeps them, in miniature; no network."""

import gzip
import hashlib
import http.server
import logging
import threading

import ir_datasets
import pytest
from ir_datasets.datasets.base import Dataset
from ir_datasets.formats import TrecQrels, TsvDocs, TsvQueries
from ir_datasets.util import DownloadConfig, GzipExtract, _DownloadConfig

from recross.collections.ir_datasets import IrDatasets
from recross.command.building import build
from recross.command.composition import compose_values
from recross.errors import InputError
from recross.evaluation.measures import evaluate
from recross.retrieval.bm25 import BM25
from recross.retrieval.official import OfficialCandidates
from recross.runs import Run
from tests.miniature_ir_datasets import DEV, DL19, DL20, PASSAGES, passage_of


def option(name):
    return build(compose_values("run", [f"collection={name}", "reranker=none"])).collection


@pytest.mark.usefixtures("ir_datasets_home")
def test_msmarco_is_dev_small_with_the_judged_training_queries():
    loaded = option("msmarco").load()
    assert dict.fromkeys(loaded.query_ids("test")) == dict.fromkeys(DEV)
    assert loaded.queries["2001"] == "green owl"
    assert loaded.qrels("test") == {q: {passage_of(text): 1} for q, text in DEV.items()}
    assert tuple(loaded.query_ids("train")) == ("1001", "1002")  # 1003 is not judged
    assert loaded.documents["3"] == PASSAGES["3"]
    assert loaded.documents["96"] == "here lives a café cat"
    assert "97" not in loaded.documents


@pytest.mark.usefixtures("ir_datasets_home")
@pytest.mark.parametrize("name, queries", [("trec_dl_2019", DL19), ("trec_dl_2020", DL20)])
def test_trec_dl_asks_the_judged_queries_and_a_related_passage_is_not_relevant(name, queries):
    loaded = option(name).load()
    judged = [query for query, text in queries.items() if text != "never judged"]
    assert list(loaded.query_ids("test")) == judged
    best = passage_of(queries[judged[0]])
    related = str((int(best) + 7) % 97)
    assert loaded.qrels("test")[judged[0]][related] == 1
    assert loaded.relevant("test", judged[0]) == {best}
    run = Run.from_scores("x", {q: {related: 2.0, best: 1.0} for q in judged[:1]})
    only = {judged[0]: loaded.qrels("test")[judged[0]]}
    found = evaluate(run, only, ["MRR@10", "nDCG@10"], loaded.relevant_from)
    assert found.mean["MRR@10"] == 0.5  # the grade of 1 at rank 1 does not count
    ideal, gained = 3 + 1 / 1.5849625, 1 + 3 / 1.5849625
    assert found.mean["nDCG@10"] == pytest.approx(gained / ideal)  # but it does in nDCG


@pytest.mark.usefixtures("ir_datasets_home")
def test_a_beir_set_has_its_splits_and_titles_in_front():
    loaded = option("beir_scifact").load()
    assert tuple(loaded.query_ids("test")) == tuple(DEV)
    assert loaded.documents["s3"] == f"Title 3 {PASSAGES['3']}"
    assert loaded.qrels("test")["2001"] == {f"s{passage_of('green owl')}": 1}


@pytest.mark.usefixtures("ir_datasets_home")
def test_own_candidates_are_retrieved_from_the_documents_on_disk(tmp_path):
    loaded = option("msmarco").load()
    run = BM25(store=tmp_path).retrieve(loaded, loaded.query_ids("test"), 5)
    assert {q: run.doc_ids(q)[0] for q in DEV} == {q: passage_of(t) for q, t in DEV.items()}


@pytest.mark.usefixtures("ir_datasets_home")
def test_official_candidates_are_the_lists_that_the_benchmark_publishes():
    loaded = option("msmarco").load()
    official = OfficialCandidates({"test": "msmarco-passage/dev/small"})
    run = official.retrieve(loaded, loaded.query_ids("test"), 1000)
    best = int(passage_of("green owl"))
    assert set(run.doc_ids("2001")) == {str((best + 7 * step) % 97) for step in range(20)}
    assert {doc.score for doc in run.rankings["2001"]} == {0.0}
    again = official.retrieve(loaded, ["2003"], 1000)
    assert list(again.rankings) == ["2003"]


@pytest.mark.usefixtures("ir_datasets_home")
def test_official_candidates_have_no_order_that_a_smaller_depth_could_keep(caplog):
    loaded = option("trec_dl_2019").load()
    official = build(
        compose_values("run", ["collection=trec_dl_2019", "retriever=official"])
    ).retriever
    assert official == OfficialCandidates({"test": "msmarco-passage/trec-dl-2019/judged"})
    whole = official.retrieve(loaded, loaded.query_ids("test"), 12)
    assert "no order" not in caplog.text
    cut = official.retrieve(loaded, loaded.query_ids("test"), 5)
    assert "depth=5 keeps the largest ids of 2 queries" in caplog.text
    assert cut.doc_ids("3001") == whole.doc_ids("3001")[:5]


@pytest.mark.usefixtures("ir_datasets_home")
def test_a_dataset_without_candidates_of_its_own_is_refused():
    loaded = option("beir_scifact").load()
    with pytest.raises(InputError, match=r"candidates of their own, got 'beir/scifact/test'"):
        OfficialCandidates({"test": "beir/scifact/test"}).retrieve(loaded, ["2001"], 10)
    with pytest.raises(InputError, match="at least one id"):
        OfficialCandidates({})


QUERIES = gzip.compress(b"q1\ta query\n", mtime=0)


@pytest.fixture
def server():
    """Serves one file of queries, and answers 404 to everything else."""

    class Files(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            found = self.path == "/queries.gz"
            self.send_response(200 if found else 404)
            self.end_headers()
            self.wfile.write(QUERIES if found else b"not here")

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Files) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def downloaded(tmp_path, url, md5=hashlib.md5(QUERIES).hexdigest()):
    """A dataset whose queries ir_datasets itself downloads, checks and keeps."""
    (tmp_path / "docs.tsv").write_text("d1\tfirst text\n")
    (tmp_path / "qrels").write_text("q1 0 d1 1\n")
    files = {"queries": {"url": url, "expected_md5": md5, "cache_path": "queries.tsv.gz"}}
    local = {name: {"instructions": "", "cache_path": name} for name in ("docs.tsv", "qrels")}
    config = _DownloadConfig(contents=files | local, base_path=tmp_path)
    name = f"downloaded-{tmp_path.name}"
    ir_datasets.registry.register(
        name,
        Dataset(
            TsvDocs(config["docs.tsv"]),
            TsvQueries(GzipExtract(config["queries"])),
            TrecQrels(config["qrels"], {}),
        ),
    )
    return IrDatasets({"test": name})


def test_a_download_that_is_whole_is_kept(server, tmp_path):
    assert downloaded(tmp_path, f"{server}/queries.gz").load().queries == {"q1": "a query"}
    assert (tmp_path / "queries.tsv.gz").read_bytes() == QUERIES


def test_a_download_that_fails_says_what_to_do_and_where_files_go(tmp_path):
    source = downloaded(tmp_path, "http://127.0.0.1:9/queries.gz")
    with pytest.raises(InputError, match=r"(?s)ConnectionError.*check the network .* or place"):
        source.load()


@pytest.mark.parametrize("path", ["queries.gz", "moved.gz"])
def test_a_checksum_that_does_not_match_is_named_and_nothing_is_kept(server, tmp_path, path):
    # ir_datasets takes the page of a server that says 404 for the file itself
    source = downloaded(tmp_path, f"{server}/{path}", md5="0" * 32)
    with pytest.raises(InputError, match="does not have the content that ir_datasets expects"):
        source.load()
    assert not (tmp_path / "queries.tsv.gz").exists()


def test_a_damaged_file_in_the_home_is_to_be_deleted(tmp_path):
    (tmp_path / "queries.tsv.gz").write_bytes(QUERIES[:-9])
    with pytest.raises(InputError, match="a file is damaged .*; delete it under"):
        downloaded(tmp_path, "http://127.0.0.1:9/queries.gz").load()


def test_documents_that_cannot_be_had_are_the_same_clear_error(tmp_path):
    (tmp_path / "queries.tsv.gz").write_bytes(QUERIES)
    documents = downloaded(tmp_path, "http://127.0.0.1:9/queries.gz").load().documents
    (tmp_path / "docs.tsv").unlink()
    for read in (lambda: documents["d1"], lambda: list(documents.items())):
        with pytest.raises(InputError, match="cannot be had: FileNotFoundError"):
            read()


def test_without_a_network_msmarcos_missing_files_are_named(ir_datasets_home, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # nothing listens there
    assert DownloadConfig.context("msmarco-passage")  # the files of the installed version
    with pytest.raises(InputError, match=r"'msmarco-passage/eval/small'.*msmarco-passage") as found:
        OfficialCandidates({"test": "msmarco-passage/eval/small"}).retrieve(None, ["1"], 9)
    assert str(ir_datasets_home) in str(found.value)


def on_disk(tmp_path, docs="d1\tfirst text\n", queries="q1\ta query\n", qrels="q1 0 d1 1\n"):
    """A dataset of these files."""
    for name, text in {"docs.tsv": docs, "queries.tsv": queries, "qrels": qrels}.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    names = ("docs.tsv", "queries.tsv", "qrels")
    local = {name: {"instructions": "", "cache_path": name} for name in names}
    config = _DownloadConfig(contents=local, base_path=tmp_path)
    name = f"on-disk-{tmp_path.name}"
    parts = TsvDocs(config["docs.tsv"]), TsvQueries(config["queries.tsv"])
    ir_datasets.registry.register(name, Dataset(*parts, TrecQrels(config["qrels"], {})))
    return IrDatasets({"test": name})


def test_ids_that_no_run_can_hold_are_refused_where_they_are_first_seen(tmp_path):
    with pytest.raises(
        InputError, match="query_id of 'on-disk-.*' must hold no blanks, .* got 'q 1'"
    ):
        on_disk(tmp_path, queries="q 1\ta query\n").load()


def test_ids_of_documents_are_looked_at_as_they_are_read(tmp_path):
    documents = on_disk(tmp_path, docs="d1\ta\nd\xa02\tb\n").load().documents
    with pytest.raises(InputError, match="doc_id of 'on-disk-.*' must hold no blanks"):
        dict(documents.items())


def test_the_last_of_judgments_that_contradict_each_other_counts_and_that_is_said(tmp_path, caplog):
    qrels = "q1 0 d1 1\nq1 0 d1 1\nq1 0 d2 0\nq1 0 d1 2\n"
    with caplog.at_level(logging.WARNING):
        assert on_disk(tmp_path, qrels=qrels).load().qrels("test") == {"q1": {"d1": 2, "d2": 0}}
    (record,) = caplog.records
    assert "1 judgments contradict earlier ones of a document" in record.getMessage()


def test_a_grade_that_measures_cannot_count_is_refused_before_any_work(tmp_path):
    with pytest.raises(
        InputError, match="relevance must be a whole number from -2 to .* got 999999999"
    ):
        on_disk(tmp_path, qrels="q1 0 d1 999999999\n").load()
