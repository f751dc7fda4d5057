"""A run re-ranked in blocks has the same bytes, however many processes share them and end."""

import os
import signal
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest

from recross.collections.files import BeirFolder
from recross.errors import InputError, RunError
from recross.experiment.query_blocks import TREC_BLOCKS
from recross.experiment.reranked_blocks import (
    RerankedBlocks,
    RerankingTask,
    identify_scores,
)
from recross.inference.late_interaction import token_vectors
from recross.machine.hardware import Hardware
from recross.rerankers.baselines import BiEncoderScore
from recross.rerankers.composed.interpolation import Interpolated
from recross.rerankers.cross_encoder import CrossEncoder
from recross.rerankers.late_interaction.late_interaction import LateInteraction
from recross.rerankers.reranker import Reranker
from recross.retrieval import document_vectors
from recross.retrieval.biencoder import BiEncoder
from recross.retrieval.random_order import RandomOrder
from recross.runs import Run
from recross.sharing import processes
from recross.sharing.work import do_pieces, settle_hardware
from recross.store import Store
from tests.conftest import save_tiny, toy_collection
from tests.experiment.toy_reranking import ByLength, make_reranking
from tests.inference.late_interaction.multi_vector_folders import save_native
from tests.odd_inputs.tiny_checkpoints import save_bare

EMBEDDED = "embedded:all-minilm-l6-v2"


@dataclass(frozen=True)
class Deadly(Reranker):
    """Kills its process."""

    def rerank(self, candidates, collection):
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture
def command(tmp_path, beir_folder):
    """How to re-rank the test queries in blocks of three, each time with a store of its own."""
    return partial(make_reranking, tmp_path, beir_folder)


@pytest.mark.ci  # processes of their own import torch
def test_a_run_has_the_same_bytes_for_one_two_and_three_processes(tmp_path, command):
    reranker = CrossEncoder(str(save_tiny(tmp_path / "tiny")), max_length=24)
    written = [command(reranker, f"{n}", processes=n).run().read_bytes() for n in (1, 2, 3)]
    assert written[0] == written[1] == written[2]
    alone = command(reranker, "none", processes=None, hardware=Hardware(threads=1)).run()
    whole, shared = Run.read(alone), Run.read(tmp_path / "3" / "reranked.trec")
    assert list(whole.rankings) == list(shared.rankings)
    assert shared.rankings["q0"][0].score == pytest.approx(whole.rankings["q0"][0].score, abs=1e-4)


@pytest.mark.ci  # processes of their own import torch
def test_a_killed_process_is_replaced_and_no_finished_block_is_computed_again(
    tmp_path, command, caplog
):
    said = tmp_path / "said"
    killed = command(ByLength(str(said), "q20"), "killed", processes=2)  # the second of its block
    run = killed.run()
    assert "a process that shares work ended by SIGKILL: another takes its place" in caplog.text
    begun = [line.split()[1] for line in said.read_text().splitlines()]
    assert sorted(begun) == sorted([*toy_collection().query_ids("test"), "q15", "q20"])
    whole = ByLength(str(tmp_path / "other")).rerank(
        Run.read(tmp_path / "candidates.trec"), toy_collection()
    )
    assert Run.read(run).rankings == whole.rankings
    assert killed.run().read_bytes() == run.read_bytes()
    assert len(said.read_text().splitlines()) == len(begun)  # nothing is computed again


@pytest.mark.ci  # processes of their own import torch
def test_a_block_that_ends_every_process_ends_the_command(command, monkeypatch):
    monkeypatch.setattr(processes, "MOST_ENDS", 1)
    with pytest.raises(RunError, match="live until a block is finished, got 2 ended one after the"):
        command(Deadly(), "deadly").run()


@pytest.mark.ci  # processes of their own import torch
def test_what_a_process_is_refused_is_an_error_of_the_command(tmp_path, command):
    save_bare(tmp_path / "bare")  # without a head
    fresh = CrossEncoder(str(tmp_path / "bare"), fresh_head=True, max_length=24)
    with pytest.raises(InputError, match="has a freshly drawn head"):
        command(fresh, "fresh").run()


def test_batches_that_depend_on_the_clock_are_refused_where_processes_share_a_run(command):
    hardware = Hardware(tokens_per_batch="auto")
    with pytest.raises(InputError, match="tokens_per_batch must be a number where processes"):
        command(Deadly(), "auto", hardware=hardware)


def test_nodes_are_refused_where_one_process_makes_the_run(command):
    with pytest.raises(InputError, match="hardware.nodes must be 1 for a run that is not shared"):
        command(Deadly(), "nodes", processes=None, hardware=Hardware(nodes=2))


def make_blocks(tmp_path, reranker, **changes):
    collection = toy_collection()
    run = RandomOrder(3).retrieve(collection, collection.query_ids("test"), 12)
    identity = identify_scores(reranker, collection, settle_hardware(Hardware()))
    store = Store(tmp_path / "store")
    blocks = RerankedBlocks(store, 6, TREC_BLOCKS, reranker, collection, run, identity)
    return replace(blocks, **changes)


def test_blocks_are_merged_in_the_order_of_the_candidates(tmp_path):
    blocks = make_blocks(tmp_path, ByLength(str(tmp_path / "said")))
    assert len(blocks) == 4  # of 20 queries, the last of two
    for number in (3, 1, 0, 2):
        assert not blocks.is_finished(number)
        assert blocks.make_if_free(number)
    merged = blocks.merge()
    assert list(merged.rankings) == list(blocks.candidates.rankings)
    assert merged == blocks.reranker.rerank(blocks.candidates, blocks.collection)


@pytest.fixture(scope="module")
def colbert(tmp_path_factory):
    """A small checkpoint of late interaction."""
    return str(save_native(tmp_path_factory.mktemp("colbert"), document_length=12, query_length=11))


def make_dense(store, _):
    return BiEncoderScore(BiEncoder(EMBEDDED, max_length=9, store=store))


def make_late(store, colbert):
    return LateInteraction(colbert, store=store)


@pytest.mark.parametrize("make", [make_dense, make_late])
def test_documents_are_encoded_in_parts_before_the_blocks(
    tmp_path, beir_folder, monkeypatch, make, colbert
):
    monkeypatch.setattr(document_vectors, "DOCUMENTS_PER_CHUNK", 20)
    monkeypatch.setattr(token_vectors, "DOCUMENTS_AT_A_TIME", 20)
    alone, shared = (Interpolated(make(tmp_path / name, colbert)) for name in ("one", "parts"))
    source, form = BeirFolder(beir_folder), TREC_BLOCKS
    collection = source.load()
    run = RandomOrder(3).retrieve(collection, collection.query_ids("test"), 12)
    hardware, store = Hardware(threads=1), Store(tmp_path / "parts")
    identity = identify_scores(shared, collection, hardware)
    task = RerankingTask(shared, source, run, len(run), hardware, store, identity, form)
    (vectors,) = shared.document_parts(collection)
    assert len(vectors) > 2
    do_pieces(task.without_pieces().open(), 1)
    assert all(map(vectors.is_finished, range(len(vectors))))
    blocks = replace(task, number=1).open()
    do_pieces(blocks, 0)
    assert blocks.merge() == alone.rerank(run, collection)
    one, parts = (list(tmp_path.glob(f"{n}/*vectors/*/vectors.bin")) for n in ("one", "parts"))
    assert one[0].read_bytes() == parts[0].read_bytes()


@pytest.mark.ci  # processes of their own import torch
@pytest.mark.parametrize("make", [make_dense, make_late])
def test_processes_that_encode_write_the_run_of_one(tmp_path, command, make, colbert):
    reranker = make(tmp_path, colbert)
    written = [command(reranker, f"{n}", processes=n).run().read_bytes() for n in (1, 2)]
    assert written[0] == written[1]
    assert len(list(tmp_path.glob("?/store/*vectors/[!.]*"))) == 2
    assert not list(tmp_path.glob("?/store/*vectors_parts/[!.]*"))


def test_a_query_without_candidates_keeps_its_place(tmp_path):
    few = Run.from_scores("few", {"q0": {}, "q5": {"d1": 1.0}, "q10": {}})
    blocks = make_blocks(tmp_path, ByLength(str(tmp_path / "said")), candidates=few, queries=1)
    for number in range(3):
        blocks.make(number)
    assert [len(ranking) for ranking in blocks.merge().rankings.values()] == [0, 1, 0]


def test_a_run_with_a_block_missing_is_not_written(tmp_path):
    blocks = make_blocks(tmp_path, ByLength(str(tmp_path / "said")))
    blocks.make(0)
    with pytest.raises(RunError, match="got none of number 1; run the same command again"):
        blocks.merge()


def test_processes_begin_at_blocks_far_from_each_other(monkeypatch):
    places = processes.Places(Path("told"), Hardware(threads=2, nodes=2), 2, 1, 40)
    monkeypatch.setenv("NODE_RANK", "1")
    assert [places.find_first(number) for number in (0, 1)] == [20, 30]


def test_each_process_sees_one_gpu(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    places = processes.Places(Path("told"), Hardware("gpu", threads=1), 4, 2, 40)
    seen = [places.name_variables(number)["CUDA_VISIBLE_DEVICES"] for number in range(4)]
    assert seen == ["4", "6", "4", "6"]
