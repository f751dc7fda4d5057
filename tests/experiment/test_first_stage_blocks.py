"""A first stage that processes share finds what one process finds, to the last digit."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from recross.artefacts.manifest import MANIFEST
from recross.collections.files import BeirFolder
from recross.errors import InputError
from recross.experiment.first_stage_blocks import FirstStageTask
from recross.experiment.mining_command import Mining
from recross.experiment.query_blocks import TREC_BLOCKS
from recross.experiment.retrieval_command import Retrieval
from recross.inference.late_interaction import token_vectors
from recross.machine.hardware import Hardware
from recross.negatives.composed import Mixed, Part
from recross.negatives.ranked import RankWindow
from recross.negatives.sampler import NegativeSampler
from recross.records import Cost
from recross.retrieval import document_vectors, posting_counts
from recross.retrieval.biencoder import BiEncoder
from recross.retrieval.bm25 import BM25
from recross.retrieval.fusion import ReciprocalRankFusion
from recross.retrieval.late_interaction import LateInteractionSearch
from recross.retrieval.random_order import RandomOrder
from recross.retrieval.retriever import Retriever
from recross.runs import Run
from recross.sharing.work import do_pieces
from recross.store import Store
from tests.inference.late_interaction.multi_vector_folders import save_native

EMBEDDED = "embedded:all-minilm-l6-v2"
NAMES = ("alone", "shared")


@pytest.fixture
def small(monkeypatch):
    """Chunks of 20 documents, so that there are several."""
    monkeypatch.setattr(document_vectors, "DOCUMENTS_PER_CHUNK", 20)
    monkeypatch.setattr(token_vectors, "DOCUMENTS_AT_A_TIME", 20)
    monkeypatch.setattr(posting_counts, "DOCUMENTS_PER_COUNT", 20)


@pytest.fixture(scope="module")
def colbert(tmp_path_factory):
    """A small checkpoint of late interaction."""
    return str(save_native(tmp_path_factory.mktemp("colbert"), document_length=9, query_length=11))


def make_task(store, source, retriever, query_ids):
    asked = (tuple(query_ids), 12, Hardware(threads=1), Store(store), TREC_BLOCKS)
    return FirstStageTask(replace(retriever, store=store), source, *asked, uses=None)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    "make",
    [
        lambda _: BM25(),
        lambda _: BiEncoder(EMBEDDED, max_length=9),
        LateInteractionSearch,
        lambda colbert: LateInteractionSearch(colbert, vectors="int8"),
    ],
    ids=["bm25", "biencoder", "fp16", "int8"],
)
def test_pieces_are_put_together_to_the_run_of_one_process(tmp_path, beir_folder, make, colbert):
    collection = BeirFolder(beir_folder).load()
    query_ids = collection.query_ids("test")
    retriever = make(colbert)
    alone = replace(retriever, store=tmp_path / "alone").retrieve(collection, query_ids, 12)
    task = make_task(tmp_path / "shared", BeirFolder(beir_folder), retriever, query_ids)
    works = task.list_works(collection)
    assert [len(work) for work in works] == [5, 1]
    for number in range(len(works)):
        do_pieces(replace(task, number=number).open(), 0)
    merged = task.divide(collection).merge()
    assert merged == alone
    assert merged.cost == alone.cost


@pytest.mark.parametrize(
    "make", [lambda _: BiEncoder(EMBEDDED, max_length=9), LateInteractionSearch]
)
def test_documents_are_counted_once_however_many_blocks_there_are(
    tmp_path, collection, make, colbert
):
    retriever = replace(make(colbert), store=tmp_path)
    query_ids = collection.query_ids("test")
    task = make_task(tmp_path, None, retriever, query_ids)
    blocks = replace(task.divide(collection), queries=3)
    do_pieces(blocks, 2)
    whole = retriever.retrieve(collection, query_ids, 12)
    assert blocks.merge().cost == whole.cost
    assert whole.cost.cut_documents > 0
    assert retriever.document_cost(collection) + Cost() != Cost()


def test_a_fusion_has_the_parts_of_its_members(tmp_path, collection):
    members = {
        "lexical": BM25(store=tmp_path),
        "dense": BiEncoder(EMBEDDED, store=tmp_path),
        "short": BiEncoder(EMBEDDED, max_length=9, store=tmp_path),
    }
    fused = ReciprocalRankFusion(members)
    parts = fused.document_parts(collection)
    assert [len(part) for part in parts] == [1, 1]
    assert parts[0].identity != parts[1].identity
    dense = [members[name].document_cost(collection) for name in ("dense", "short")]
    assert fused.document_cost(collection) == dense[0] + dense[1]


@dataclass(frozen=True)
class Deadly(Retriever):
    """Ranks by chance, and kills the first process that comes to it."""

    said: str

    @property
    def candidates(self):
        return "deadly"

    def retrieve(self, collection, query_ids, depth):
        kill_once(self.said)
        return RandomOrder(3).retrieve(collection, query_ids, depth)


def retrieve(folder, beir_folder, retriever, name, **more):
    command = Retrieval(
        collection=BeirFolder(beir_folder),
        retriever=retriever,
        depth=12,
        output=folder / name,
        store=folder / name / "store",
        **more,
    )
    return command.run().read_bytes(), json.loads(command.place.account.read_text())


@pytest.mark.ci  # processes of their own import torch
def test_a_run_has_the_same_bytes_for_any_number_of_processes(tmp_path, beir_folder):
    retriever = BiEncoder(EMBEDDED)
    one_thread = Hardware(threads=1)
    alone, account = retrieve(tmp_path, beir_folder, retriever, "alone", hardware=one_thread)
    for number in (1, 2, 3):
        found = retrieve(tmp_path, beir_folder, retriever, str(number), processes=number)
        assert found[0] == alone
        assert found[1]["cost"] == account["cost"]
    vectors = [np.fromfile(p, np.uint16) for p in tmp_path.glob("*/store/vectors/*/vectors.bin")]
    assert len(vectors) == 4
    assert all((each == vectors[0]).all() for each in vectors)


def write_collection(folder, documents):
    """A folder in BEIR's layout, of so many documents, some of them equal."""
    (folder / "corpus.jsonl").write_text(
        "".join(f'{{"_id": "d{n}", "text": "{n % 5003} fish"}}\n' for n in range(documents))
    )
    (folder / "queries.jsonl").write_text('{"_id": "q", "text": "17 fish"}\n')
    (folder / "qrels").mkdir()
    (folder / "qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\nq\td17\t1\n")


@pytest.mark.ci  # processes of their own import torch
def test_parts_that_processes_encode_are_the_vectors_of_one(tmp_path):
    write_collection(tmp_path, 3_100)
    retriever, one_thread = BiEncoder(EMBEDDED), Hardware(threads=1)
    alone = retrieve(tmp_path, tmp_path, retriever, "alone", hardware=one_thread)
    shared = retrieve(tmp_path, tmp_path, retriever, "shared", processes=2)
    assert alone[0] == shared[0]
    assert alone[1]["cost"] == shared[1]["cost"]
    (one,), (two,) = (list(tmp_path.glob(f"{n}/store/vectors/*/vectors.bin")) for n in NAMES)
    assert one.read_bytes() == two.read_bytes()
    assert not list(tmp_path.glob("shared/store/vectors_parts/[!.]*"))


@dataclass(frozen=True)
class DeadlyCounts(BM25):
    """BM25 that kills the first process that splits texts."""

    said: str = ""

    def split(self, texts):
        kill_once(self.said)
        return super().split(texts)


@pytest.mark.ci  # processes of their own import torch
def test_an_index_has_the_same_bytes_for_any_number_of_processes_one_killed(tmp_path, caplog):
    write_collection(tmp_path, 3 * posting_counts.DOCUMENTS_PER_COUNT - 17)
    one_thread = Hardware(threads=1)
    alone = retrieve(tmp_path, tmp_path, BM25(), "alone", hardware=one_thread)
    whole = read_artefact(tmp_path / "alone", "bm25")
    for number, retriever in enumerate((BM25(), BM25(), DeadlyCounts(said=f"{tmp_path}/said")), 1):
        shared = retrieve(tmp_path, tmp_path, retriever, str(number), processes=number)
        assert shared[0] == alone[0]
        assert shared[1]["cost"] == alone[1]["cost"]
        assert read_artefact(tmp_path / str(number), "bm25") == whole
    assert "a process that shares work ended by SIGKILL: another takes its place" in caplog.text
    assert "weights.npy" in whole
    assert not list(tmp_path.glob("*/store/bm25_parts/[!.]*"))


@dataclass(frozen=True)
class DeadlySearch(LateInteractionSearch):
    """Late interaction that kills the first process that asks for its network."""

    said: str = ""

    @property
    def _network(self):
        kill_once(self.said)
        return super()._network


@pytest.mark.ci  # processes of their own import torch
def test_token_vectors_have_the_same_bytes_for_any_number_of_processes_one_killed(
    tmp_path, colbert, caplog
):
    write_collection(tmp_path, 2_900)
    retriever, one_thread = LateInteractionSearch(colbert), Hardware(threads=1)
    alone = retrieve(tmp_path, tmp_path, retriever, "alone", hardware=one_thread)
    whole = read_artefact(tmp_path / "alone", "token_vectors")
    deadly = DeadlySearch(colbert, said=f"{tmp_path}/said")
    for number, each in enumerate((retriever, retriever, deadly), 1):
        shared = retrieve(tmp_path, tmp_path, each, str(number), processes=number)
        assert shared[0] == alone[0]
        assert shared[1]["cost"] == alone[1]["cost"]
        assert read_artefact(tmp_path / str(number), "token_vectors") == whole
    assert "a process that shares work ended by SIGKILL: another takes its place" in caplog.text
    assert "vectors.bin" in whole
    assert not list(tmp_path.glob("*/store/token_vectors_parts/[!.]*"))


@pytest.mark.ci  # processes of their own import torch
def test_token_vectors_that_take_too_much_are_refused_by_the_first_process(tmp_path, colbert):
    write_collection(tmp_path, 2_900)
    search = LateInteractionSearch(colbert, most_gigabytes=1e-4)
    with pytest.raises(InputError, match="most_gigabytes must be at least what .* all 2900"):
        retrieve(tmp_path, tmp_path, search, "shared", processes=2)
    assert not list(tmp_path.glob("shared/store/token_vectors*/[!.]*"))


def kill_once(said):
    """Kill this process, if it is the first that comes here."""
    with Path(said).open("a") as file:
        file.write("begun\n")
    if Path(said).read_text().count("begun") == 1:
        os.kill(os.getpid(), signal.SIGKILL)


def read_artefact(folder, kind):
    """The bytes of a store's artefact by name, without what it was made from."""
    files = (path for path in folder.glob(f"store/{kind}/*/**/*") if path.is_file())
    return {path.name: path.read_bytes() for path in files if path.name != MANIFEST}


@pytest.mark.ci  # processes of their own import torch
@pytest.mark.parametrize("words", [["retrieve", "depth=12"], ["mine", "negatives.depth=12"]])
def test_two_nodes_do_the_work_of_one(tmp_path, beir_folder, words):
    first_stage = "retriever" if words[0] == "retrieve" else "negatives"
    words = [*words, f"{first_stage}=biencoder", "collection=files", "hardware.threads=1"]
    words += [f"collection.folder={beir_folder}", "processes=1"]
    around = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}  # where nobody listens
    for number in (0, 1):
        output = [f"output={tmp_path}/two", f"store={tmp_path}/two/store", "hardware.nodes=2"]
        node = {**os.environ, **around, "NODE_RANK": str(number)}
        command = [sys.executable, "-m", "recross", *words, *output]
        if number == 0:
            first = subprocess.Popen(command, env=node)
        else:
            subprocess.run(command, env=node, check=True, timeout=250)
    assert first.wait(timeout=250) == 0
    alone = [f"output={tmp_path}/one", f"store={tmp_path}/one/store"]
    subprocess.run([sys.executable, "-m", "recross", *words, *alone], check=True, timeout=250)
    one, two = (sorted(tmp_path.glob(f"{name}/*.trec")) for name in ("one", "two"))
    assert [path.name for path in one] == [path.name for path in two] != []
    assert one[0].read_bytes() == two[0].read_bytes()


@pytest.mark.ci  # processes of their own import torch
def test_a_killed_process_is_replaced(tmp_path, beir_folder, collection, caplog):
    retrieve(tmp_path, beir_folder, Deadly(str(tmp_path / "said")), "deadly", processes=2)
    assert "a process that shares work ended by SIGKILL: another takes its place" in caplog.text
    whole = RandomOrder(3).retrieve(collection, collection.query_ids("test"), 12)
    assert Run.read(tmp_path / "deadly" / "retrieved.trec").rankings == whole.rankings


@dataclass(frozen=True)
class AnyDocument(NegativeSampler):
    """A strategy that needs no ranking."""

    def mine(self, collection, split, store):
        raise AssertionError


def make_mining(folder, beir_folder, negatives, **more):
    return Mining(
        collection=BeirFolder(beir_folder),
        negatives=negatives,
        output=folder,
        store=folder / "store",
        **more,
    )


def test_mining_writes_what_may_be_drawn_and_a_training_finds_it(tmp_path, beir_folder):
    window = RankWindow(BM25(), depth=8, skip=1)
    command = make_mining(tmp_path, beir_folder, window)
    written = Run.read(command.run())
    account = json.loads(command.place.account.read_text())
    counts = account["mined"]["ranking"]
    assert counts["kept"] == sum(map(len, written.rankings.values())) > 0
    before = set((tmp_path / "store/negatives").glob("[!.]*"))
    loaded = BeirFolder(beir_folder).load()
    mined = command.negatives.mine(loaded, "train", Store(tmp_path / "store"))
    assert set((tmp_path / "store/negatives").glob("[!.]*")) == before
    for query_id, ranking in written.rankings.items():
        relevant = loaded.relevant("train", query_id)
        assert not relevant & {doc.doc_id for doc in ranking}
        assert ranking == mined.pool.candidates.rankings[query_id]


def test_a_mixture_is_mined_from_each_of_its_rankings(tmp_path, beir_folder):
    first, second = RankWindow(BM25(), depth=8), RankWindow(RandomOrder(1), depth=5)
    mixed = Mixed({"a": Part(first), "b": Part(second), "c": Part(AnyDocument())})
    command = make_mining(tmp_path, beir_folder, mixed)
    written = Run.read(command.run())
    assert list(json.loads(command.place.account.read_text())["mined"]) == ["a", "b"]
    store, loaded = Store(tmp_path / "store"), BeirFolder(beir_folder).load()
    pools = [
        window.mine(loaded, "train", store).pool for window in command.negatives.windows.values()
    ]
    for query_id, ranking in written.rankings.items():
        both = [pool.candidates.rankings.get(query_id, ()) for pool in pools]
        assert {doc.doc_id for doc in ranking} == {doc.doc_id for each in both for doc in each}


def test_what_is_drawn_at_random_is_not_mined(tmp_path, beir_folder):
    with pytest.raises(
        InputError, match="negatives must be mined from a ranking, got AnyDocument, which draws any"
    ):
        make_mining(tmp_path, beir_folder, AnyDocument())


@pytest.mark.ci  # processes of their own import torch
def test_negatives_that_processes_mine_are_those_of_one(tmp_path, beir_folder):
    window = RankWindow(BiEncoder(EMBEDDED), depth=8)
    alone = make_mining(tmp_path / "alone", beir_folder, window, hardware=Hardware(threads=1))
    shared = make_mining(tmp_path / "shared", beir_folder, window, processes=2)
    assert shared.run().read_bytes() == alone.run().read_bytes()
    kept = [list((tmp_path / n / "store/negatives").glob("[!.]*")) for n in NAMES]
    assert kept[0][0].name == kept[1][0].name
