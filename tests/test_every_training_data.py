"""Every option of ``training_data`` trains end to end, as a user types it."""

import json

import ir_datasets
import pytest
from ir_datasets.formats import TsvDocPairs
from ir_datasets.util import LocalDownload

from recross.command.catalogue import list_options
from recross.command.cli import main
from tests.conftest import save_tiny, toy_collection

TRIPLES = [(f"q{n}", f"d{n}", f"d{(n * 7 + 3) % 96}") for n in range(96) if n % 5 > 1]
ASKED = ("q0", "d0", "d4")  # a test query
TEXTS = toy_collection()


def tabs(rows):
    return "".join("\t".join(row) + "\n" for row in rows)


def as_texts(query_id, positive, negative):
    return TEXTS.queries[query_id], TEXTS.documents[positive], TEXTS.documents[negative]


def run_lines():
    for query_id, positive, negative in [*TRIPLES, ASKED]:
        yield f"{query_id} Q0 {positive} 1 5.0 t\n{query_id} Q0 {negative} 2 -5.0 t\n"


def json_lines():
    for query, positive, negative in (as_texts(*row) for row in [*TRIPLES, ASKED]):
        yield json.dumps({"query": query, "pos": [positive], "neg": [negative]}) + "\n"


CONTENT = {
    "triples": tabs([*TRIPLES, ASKED]),
    "text_triples": tabs(as_texts(*row) for row in [*TRIPLES, ASKED]),
    "scored_triples": tabs(("5.0", "-5.0", *row) for row in [*TRIPLES, ASKED]),
    "teacher_run": "".join(run_lines()),
    "jsonl": "".join(json_lines()),
}
LEARNS_FROM_TEACHER = {"scored_triples": "margin_mse", "teacher_run": "kl"}


@pytest.fixture
def words(beir_folder, tmp_path):
    return [
        *("run", "collection=files", f"collection.folder={beir_folder}", "retriever=bm25"),
        *("reranker=cross_encoder", f"reranker.checkpoint={save_tiny(tmp_path / 'tiny')}"),
        *("reranker.fresh_head=true", "reranker.max_length=32", "training=smoke", "depth=6"),
        *("latency_queries=0", "interpolate=false", f"output={tmp_path / 'out'}", "name=cell"),
        *("study=s", "negatives=random"),
    ]


@pytest.fixture
def given(tmp_path):
    """The words that name the data of an option."""

    def words(name):
        if name == "mined":
            return []
        path = tmp_path / f"{name}.txt"
        path.write_text(CONTENT.get(name, tabs([*TRIPLES, ASKED])))
        if name != "docpairs":
            return [f"training_data.path={path}"]
        dataset = f"toy-pairs-{tmp_path.name}"
        ir_datasets.registry.register(
            dataset, ir_datasets.Dataset(TsvDocPairs(LocalDownload(path)))
        )
        return [f"training_data.dataset={dataset}"]

    return words


def training_of(tmp_path):
    path = tmp_path / "out" / "s" / "cell" / "seed=0" / "result.json"
    return json.loads(path.read_text())["training"]


@pytest.mark.parametrize("name", list_options()["training_data"])
def test_it_trains_without_the_queries_of_evaluation(name, words, given, tmp_path):
    loss = LEARNS_FROM_TEACHER.get(name, "listwise")
    assert main([*words, f"training_data={name}", f"loss={loss}", *given(name)]) == 0
    training = training_of(tmp_path)
    assert training["steps"] == 2
    assert training["groups"] == len(TRIPLES)
    if name != "mined":
        assert training["pairs"] == 2 * 2 * 2  # steps, groups, documents
    (stage,) = training["negatives"]
    # The teacher's run is judged by the training split, which does not know the test query.
    reason = "without_positive" if name == "teacher_run" else "in_evaluation_split"
    expected = {} if name == "mined" else {reason: 1}
    assert {why: count for why, count in stage["left_out"].items() if count} == expected


@pytest.mark.parametrize("name, different", [("triples", 1), ("mined", 2)])
def test_negatives_are_part_of_what_an_experiment_is_where_they_are_mined(
    name, different, words, given, tmp_path
):
    unmined = [word for word in words if not word.startswith("negatives=")]
    ours = [*unmined, f"training_data={name}", *given(name)]
    records = []
    for negatives in ("random", "bm25"):
        assert main([*ours, f"negatives={negatives}"]) == 0
        records.append(json.loads((tmp_path / "out/s/cell/seed=0/result.json").read_text()))
    assert len({record["fingerprint"] for record in records}) == different
    assert len(list((tmp_path / "out" / "store").glob("checkpoints/*/manifest.json"))) == different
    sources = [record["negatives"] and record["negatives"]["source"]["class"] for record in records]
    assert sources == (["RandomOrder", "BM25"] if name == "mined" else [None, None])


def test_a_loss_that_needs_a_teacher_is_refused_for_a_file_without_one(words, given, caplog):
    ours = [*given("triples"), "training_data=triples"]
    assert main([*words, *ours, "loss=margin_mse"]) == 2
    assert "loss MarginMSE needs a teacher, got none" in caplog.text
    ours = [*given("jsonl"), "training_data=jsonl"]  # whose lines might have had scores
    assert main([*words, *ours, "loss=margin_mse"]) == 2
    assert f"got MarginMSE, which learns from a teacher, and {len(TRIPLES)} groups" in caplog.text


def test_a_teacher_scores_texts_that_only_the_file_has(words, given, tmp_path):
    ours = [*given("text_triples"), "training_data=text_triples", "loss=margin_mse"]
    ours += ["teacher=reranker", "reranker@teacher.reranker=cross_encoder"]
    ours += [f"teacher.reranker.checkpoint={tmp_path / 'tiny'}"]
    assert main([*words, *ours]) == 0
    assert training_of(tmp_path)["groups"] == len(TRIPLES)


def test_leaks_in_a_file_are_refused_where_that_is_asked(words, given, caplog):
    ours = [*given("triples"), "training_data=triples"]
    assert main([*words, *ours, "leaks=refuse"]) == 2
    assert "got 'refuse' with 1 groups of such queries" in caplog.text


def test_a_wrong_line_ends_with_one_message(words, given, tmp_path, caplog, capsys):
    ours = [*given("triples"), "training_data=triples"]
    with (tmp_path / "triples.txt").open("a") as file:
        file.write("q2\td2\n")
    assert main([*words, *ours]) == 2
    assert f"triples.txt:{len(TRIPLES) + 2}: expected 3 fields apart by tabs" in caplog.text
    assert "Traceback" not in caplog.text + capsys.readouterr().err


def test_a_collection_needs_no_training_split_for_a_file(words, given, beir_folder, tmp_path):
    (beir_folder / "qrels" / "train.tsv").unlink()
    ours = [*given("scored_triples"), "training_data=scored_triples", "loss=margin_mse"]
    assert main([*words, *ours]) == 0
    assert training_of(tmp_path)["leaks"] == {}


def test_easy_steps_come_before_those_of_a_file(words, given, tmp_path):
    ours = [*given("text_triples"), "training_data=text_triples", "training.easy_share=0.5"]
    assert main([*words, *ours]) == 0
    assert [stage["stage"] for stage in training_of(tmp_path)["negatives"]] == ["easy", "all"]
    assert training_of(tmp_path)["pairs"] == 2 * 3 + 2 * 2
