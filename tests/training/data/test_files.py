"""Training groups from files: what each format says, what is refused, and what is held."""

import gzip
import json
import pickle
import tracemalloc
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import ir_datasets
import pytest

from recross.collections.ir_datasets import IrDatasets
from recross.errors import InputError
from recross.inference.texts.collection_texts import CollectionTexts
from recross.negatives.ranked import RankWindow
from recross.records import TrainingGroup
from recross.rerankers.cross_encoder import CrossEncoder
from recross.retrieval.random_order import RandomOrder
from recross.store import Store
from recross.training.data.files.docpairs import DocPairs
from recross.training.data.files.json_lines import JsonLines
from recross.training.data.files.line_groups import LineGroups
from recross.training.data.files.lines import ROWS_HELD
from recross.training.data.files.teacher_run import TeacherRun
from recross.training.data.files.triples import ScoredTriples, TextTriples, TripleLines, Triples
from recross.training.data.groups import TrainingGroups
from recross.training.data.leaks import find_leaks
from recross.training.data.training_data import MinedNegatives, Task
from recross.training.steps.step_data import StepData

NEGATIVES = RankWindow(RandomOrder())
SOME_IDS = "q2\td2\td3\nq2\td2\td4\nq3\td3\td4\n"


def task_of(collection, folder, **changes):
    leaks = find_leaks(collection, None, ("dev", "test"))
    task = Task(collection, "train", 2, 0, leaks, "leave_out", Store(folder / "store"))
    return replace(task, **changes)


@pytest.fixture
def read(collection, tmp_path):
    """The groups of some training data, for the toy collection."""

    def groups(data, **changes):
        (phase,) = data.make_phases(
            task_of(changes.pop("collection", collection), tmp_path, **changes)
        )
        assert phase.share == 1.0
        return phase.groups

    return groups


@pytest.fixture
def write(tmp_path):
    def file(text, name="data.tsv"):
        path = tmp_path / name
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
        return path

    return file


def texts_of(found, collection):
    """Query and documents of each group, as the collection with the file's texts has them."""
    known = found.put_texts_over(collection)
    return [
        (known.queries[group.query_id], *(known.documents[doc_id] for doc_id in group.doc_ids))
        for group in found.groups
    ]


def test_a_line_of_ids_is_a_group(read, write):
    found = read(Triples(write(SOME_IDS)))
    assert list(found.groups) == [
        TrainingGroup("q2", ("d2", "d3"), (1.0, 0.0)),
        TrainingGroup("q2", ("d2", "d4"), (1.0, 0.0)),
        TrainingGroup("q3", ("d3", "d4"), (1.0, 0.0)),
    ]
    assert found.left_out == dict.fromkeys(
        (
            "in_evaluation_split",
            "without_positive",
            "without_negatives",
            "positive_among_negatives",
        ),
        0,
    )
    assert found.untaught == 3
    assert found.groups[-1] == found.groups[2]
    assert found.groups[1:] == [found.groups[1], found.groups[2]]
    with pytest.raises(IndexError):
        found.groups[3]


def test_a_packed_file_says_the_same_and_is_unpacked_once(read, write, tmp_path):
    plain = read(Triples(write(SOME_IDS)))
    packed = read(Triples(write(SOME_IDS, "data.tsv.gz")))
    assert list(packed.groups) == list(plain.groups)
    (unpacked,) = (tmp_path / "store" / "lines").glob("*/lines")
    stamp = unpacked.stat().st_mtime_ns
    assert list(read(Triples(tmp_path / "data.tsv.gz", 2)).groups) != list(plain.groups)
    assert unpacked.stat().st_mtime_ns == stamp


def test_a_changed_file_is_read_again(read, write):
    path = write(SOME_IDS)
    assert len(read(Triples(path)).groups) == 3
    write(SOME_IDS + "q4\td4\td3\n")
    assert len(read(Triples(path)).groups) == 4


def test_blank_lines_and_line_ends_of_windows_do_not_count(read, write):
    found = read(Triples(write("\r\nq2\td2\td3\r\n\n   \nq2\td2\td4", "odd.tsv"), 2))
    assert list(found.groups) == [TrainingGroup("q2", ("d2", "d3", "d4"), (1.0, 0.0, 0.0))]


def test_consecutive_lines_of_a_query_and_its_positive_become_one_group(read, write):
    lines = ["q2 d2 d3", "q2 d2 d4", "q2 d2 d7", "q2 d8 d3", "q3 d8 d3", "q2 d2 d9"]
    path = write("".join(line.replace(" ", "\t") + "\n" for line in lines))
    groups = [(g.query_id, *g.doc_ids) for g in read(Triples(path, lines_per_group=2)).groups]
    assert groups == [
        ("q2", "d2", "d3", "d4"),
        ("q2", "d2", "d7"),
        ("q2", "d8", "d3"),
        ("q3", "d8", "d3"),
        ("q2", "d2", "d9"),
    ]


def test_a_teachers_scores_come_first_and_belong_to_positive_and_negative(read, write):
    text = "9.25\t-1.5\tq2\td2\td3\n9.25\t3\tq2\td2\td4\n-2e-1\t0.5\tq3\td3\td4\n"
    found = read(ScoredTriples(write(text, "scores.tsv.gz"), lines_per_group=8))
    assert list(found.groups) == [
        TrainingGroup("q2", ("d2", "d3", "d4"), (1.0, 0.0, 0.0), (9.25, -1.5, 3.0)),
        TrainingGroup("q3", ("d3", "d4"), (1.0, 0.0), (-0.2, 0.5)),
    ]
    assert found.untaught == 0


def test_texts_of_a_file_need_not_be_in_the_collection(read, write, collection):
    text = "what is new\tthis is new\tthis is old\nwho asks\tI do\tthey do\n"
    found = read(TextTriples(write(text, "texts.tsv")))
    assert texts_of(found, collection) == [
        ("what is new", "this is new", "this is old"),
        ("who asks", "I do", "they do"),
    ]
    assert [group.labels for group in found.groups] == [(1.0, 0.0)] * 2
    known = found.put_texts_over(collection)
    assert known.documents["d2"] == collection.documents["d2"]
    assert known.queries["q2"] == collection.queries["q2"]
    assert len(found.texts.documents) == len(list(found.texts.documents)) == 6


@pytest.mark.parametrize(
    "wrong", ["d2", "{file}#2:query", "{file}#0:2", "{file}#x:1", "{file}#0:x"]
)
def test_a_place_that_is_not_in_the_file_is_no_id(read, write, wrong):
    path = write("what is new\tthis is new\tthis is old\nwho asks\tI do\tthey do\n")
    texts = read(TextTriples(path)).texts.documents
    with pytest.raises(KeyError):
        texts[wrong.format(file=path)]
    assert texts[f"{path}#1:1"] == "they do"


JSON = [
    ({"query": "q", "positive": "p", "negative": "n"}, [(["p", "n"], None)]),
    ({"query": "q", "pos": ["p"], "neg": ["n", "m"]}, [(["p", "n", "m"], None)]),
    (
        {"query": "q", "pos": ["p", "r"], "neg": ["n"], "prompt": "x", "pos_scores": None},
        [(["p", "n"], None), (["r", "n"], None)],
    ),
    (
        {"query": "q", "pos": ["p", "r"], "neg": ["n"], "pos_scores": [3, 2.5], "neg_scores": [1]},
        [(["p", "n"], (3.0, 1.0)), (["r", "n"], (2.5, 1.0))],
    ),
    (
        {"query": "q", "positive": "p", "negative": ["n", "m"], "scores": [3, 2, 1]},
        [(["p", "n", "m"], (3.0, 2.0, 1.0))],
    ),
    # Margins over the negatives, with which only differences are known.
    (
        {"query": "q", "positive": "p", "negative": ["n", "m"], "label": [3, -2]},
        [(["p", "n", "m"], (0.0, -3.0, 2.0))],
    ),
    ({"query": "q", "positive": "p", "negative": "n", "label": 1.5}, [(["p", "n"], (0.0, -1.5))]),
    (
        {"query": "q", "positive": "p", "negative_1": "n", "negative_2": "m", "score": [5, 4, 3]},
        [(["p", "n", "m"], (5.0, 4.0, 3.0))],
    ),
]


@pytest.mark.parametrize("record, groups", JSON)
def test_a_json_line_is_a_group_for_each_positive(read, write, collection, record, groups):
    found = read(JsonLines(write(json.dumps(record) + "\n", "data.jsonl")))
    assert texts_of(found, collection) == [("q", *documents) for documents, _ in groups]
    assert [group.teacher_scores for group in found.groups] == [scores for _, scores in groups]
    assert {group.labels[0] for group in found.groups} == {1.0}
    assert {label for group in found.groups for label in group.labels[1:]} == {0.0}


RUN = """q2 Q0 d5 1 7.5 t
q2 Q0 d2 2 9.0 t
q2 Q0 d7 3 8.0 t
q2 Q0 d3 4 8.0 t
q3 Q0 d2 1 1.0 t
q3 Q0 d7 2 0.5 t
"""


def test_a_teachers_run_gives_lists_around_what_is_relevant(read, write):
    qrels = write("q2 0 d3 2\nq2 0 d5 1\nq2 0 d7 0\n", "qrels")
    found = read(TeacherRun(write(RUN, "run.trec"), qrels))
    # By score, ties to the larger id: d2 9, d7 8, d3 8, d5 7.5; two beside each positive.
    assert list(found.groups) == [
        TrainingGroup("q2", ("d3", "d2", "d7"), (2.0, 0.0, 0.0), (8.0, 9.0, 8.0)),
        TrainingGroup("q2", ("d5", "d2", "d7"), (1.0, 0.0, 0.0), (7.5, 9.0, 8.0)),
    ]
    assert found.left_out["without_positive"] == 1


def test_a_teachers_run_is_judged_by_the_training_split_unless_told_otherwise(read, write):
    path = write(RUN, "run.trec.gz")
    (group,) = read(TeacherRun(path)).groups  # d2 is relevant to q2, d3 to q3
    assert group == TrainingGroup("q2", ("d2", "d7", "d3"), (1.0, 0.0, 0.0), (9.0, 8.0, 8.0))
    found = read(TeacherRun(path, is_judged=False))
    assert list(found.groups) == [
        TrainingGroup("q2", ("d2", "d7", "d3"), (0.0, 0.0, 0.0), (9.0, 8.0, 8.0)),
        TrainingGroup("q3", ("d2", "d7"), (0.0, 0.0), (1.0, 0.5)),
    ]
    with pytest.raises(InputError, match="qrels must be null where is_judged is false, got 'a'"):
        TeacherRun(path, Path("a"), is_judged=False)


@pytest.fixture
def dataset(tmp_path):
    """Real classes of ir_datasets over local files, with pairs."""
    from ir_datasets.formats import TsvDocPairs
    from ir_datasets.util import LocalDownload

    (tmp_path / "docs.tsv").write_text("d1\tfirst\nd2\tsecond\nd3\tthird\n")
    (tmp_path / "queries.tsv").write_text("q1\ta query\nq2\tanother\n")
    (tmp_path / "qrels").write_text("q1 0 d1 1\n")
    (tmp_path / "pairs.tsv").write_text("q1\td1\td2\nq2\td3\td1\nq2\td3\td2\n")
    parts = ir_datasets.create_dataset(
        docs_tsv=str(tmp_path / "docs.tsv"),
        queries_tsv=str(tmp_path / "queries.tsv"),
        qrels_trec=str(tmp_path / "qrels"),
    )
    pairs = TsvDocPairs(LocalDownload(tmp_path / "pairs.tsv"))
    name = f"pairs-{tmp_path.name}"
    ir_datasets.registry.register(name, ir_datasets.Dataset(parts, pairs))
    ir_datasets.registry.register(f"{name}-none", parts)
    return name


def test_pairs_of_ir_datasets_are_triples(dataset, tmp_path):
    loaded = IrDatasets({"test": dataset}).load()
    few = replace(loaded, split_queries={"test": ()}, split_qrels={"test": {}})
    task = task_of(few, tmp_path)

    def groups(data):
        (phase,) = data.make_phases(task)
        return [(group.query_id, *group.doc_ids) for group in phase.groups.groups]

    assert groups(DocPairs(dataset)) == [("q1", "d1", "d2"), ("q2", "d3", "d1"), ("q2", "d3", "d2")]
    assert groups(DocPairs(dataset, limit=2)) == [("q1", "d1", "d2"), ("q2", "d3", "d1")]
    (tmp_path / "pairs.tsv").unlink()  # what was copied is enough
    merged = groups(DocPairs(dataset, lines_per_group=2))
    assert merged == [("q1", "d1", "d2"), ("q2", "d3", "d1", "d2")]
    with pytest.raises(InputError, match="the files of .* cannot be had"):
        groups(DocPairs(dataset, limit=1))
    with pytest.raises(InputError, match="must be one with docpairs, got '.*-none'"):
        groups(DocPairs(f"{dataset}-none"))
    with pytest.raises(InputError, match="training_data.dataset must name ids of ir_datasets"):
        groups(DocPairs("no/such"))


WRONG_LINES = [
    (Triples, "q2\td2", r"expected 3 fields apart by tabs \(query, positive, negative\), got 2"),
    (Triples, "q2\td2\td3\td4", "expected 3 fields apart by tabs .*, got 4"),
    (Triples, "q2\t \td3", "positive must not be empty, got 'q2"),
    (Triples, "nobody\td2\td3", "query must be one of 'toy', got 'nobody'"),
    (TextTriples, "one two three", "expected 3 fields apart by tabs .*, got 1"),
    (ScoredTriples, "1\tx\tq2\td2\td3", "score of the negative must be a finite number, got 'x'"),
    (ScoredTriples, "nan\t1\tq2\td2\td3", "score of the positive must be a finite .* got 'nan'"),
    (ScoredTriples, "q2\td2\td3", "expected 5 fields apart by tabs .*, got 3"),
    (TeacherRun, "q2 Q0 d2 1 9.0", "expected 6 fields, got 5"),
    (TeacherRun, "q2 Q0 d2 1 inf t", "score must be a finite number, got 'inf'"),
    (TeacherRun, "q4 Q0 d2 1 1 t\nq4 Q0 d2 2 0 t", "ranked once, got one twice for 'q4'"),
    (TeacherRun, "q4 Q0 d2 1 1 t\nq2 Q0 d4 2 0 t", "must stand together, got 'q2' again"),
    (JsonLines, "[1]", r"expected a JSON object, got '\[1\]'"),
    (JsonLines, '{"query": ', r"expected a JSON object \(.*\), got"),
    (JsonLines, '{"query": 7, "pos": "p", "neg": "n"}', "query must be a text .*, got 7"),
    (JsonLines, '{"query": "q", "neg": "n"}', "positive or pos must be .*, got positive=None"),
    (JsonLines, '{"query": "q", "pos": ["p", 3], "neg": "n"}', r"got pos=\['p', 3\]"),
    (JsonLines, '{"query": "q", "pos": "p", "neg": ""}', "negative or neg must be .* got neg=''"),
    (
        JsonLines,
        '{"query": "q", "pos": "p", "positive": "p", "neg": "n"}',
        "only one of positive, pos may be given, got positive and pos",
    ),
    (
        JsonLines,
        '{"query": "q", "pos": "p", "neg": "n", "scores": [1, 2, 3]}',
        r"scores must stand beside one positive, .* \(1\), got 3 beside 1 positives",
    ),
    (
        JsonLines,
        '{"query": "q", "pos": ["p", "r"], "neg": "n", "label": 1}',
        "label must stand beside one positive, .*, got 1 beside 2 positives",
    ),
    (
        JsonLines,
        '{"query": "q", "pos": "p", "neg": "n", "pos_scores": [1]}',
        r"one score per document \(1 and 1\), got 1 and 0",
    ),
    (
        JsonLines,
        '{"query": "q", "pos": "p", "neg": "n", "pos_scores": 1}',
        "pos_scores must be a list of numbers, got 1",
    ),
    (
        JsonLines,
        '{"query": "q", "pos": "p", "neg": "n", "score": 1, "pos_scores": [1]}',
        "scores must be given once, got score beside those of positives",
    ),
    (
        JsonLines,
        '{"query": "q", "pos": "p", "neg": "n", "score": true}',
        "score must be a finite number, got True",
    ),
    (
        JsonLines,
        '{"query": "q", "pos": "p", "neg": "n", "score": 1}',
        r"must come with every line of a file or with none, got \(0.0, -1.0\)",
    ),
]
GOOD_LINES = {
    Triples: "q2\td2\td3",
    TextTriples: "what\tthis\tthat",
    ScoredTriples: "1\t0\tq2\td2\td3",
    TeacherRun: "q2 Q0 d2 1 9.0 t\nq3 Q0 d3 1 9.0 t",
    JsonLines: '{"query": "q", "pos": "p", "neg": "n"}',
}


@pytest.mark.parametrize("kind, line, message", WRONG_LINES)
def test_a_wrong_line_is_one_error_with_file_line_rule_and_value(read, write, kind, line, message):
    good = GOOD_LINES[kind]
    path = write(f"{good}\n\n{line}\n")
    first = 3 + good.count("\n") + (line.count("\n") if "together" in message else 0)
    with pytest.raises(InputError, match=rf"^{path}:{first}: .*{message}"):
        read(kind(path))


def test_a_document_that_is_not_known_is_named_before_any_work(read, write):
    path = write("q2\td2\td3\n" * 300 + "q2\td2\tnowhere\n")
    with pytest.raises(InputError, match=rf"^{path}:301: document must be one of 'toy', got 'now"):
        read(Triples(path))


def test_a_document_that_a_store_on_disk_lacks_is_named_when_it_is_asked_for(
    read, write, collection
):
    path = write("q2\td2\td3\nq2\td2\tnowhere\n")
    on_disk = replace(collection, documents=MappingProxyType(dict(collection.documents)))
    groups = read(Triples(path), collection=on_disk).groups
    with pytest.raises(
        InputError, match=rf"^{path}:2: document must be one of 'toy', got 'nowhere'"
    ):
        groups[1]
    with pytest.raises(InputError, match=rf"^{path}:1: document must be one of 'toy', got 'no'"):
        read(Triples(write("q2\tno\td3\n")), collection=on_disk)  # before any work: the first


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("absent.tsv", None, "file must exist, got"),
        ("empty.tsv", b"\n", "must hold something to learn from, got none"),
        ("triples.zip", b"PK\x03\x04x", "packed by gzip or zstd, got a zip archive in"),
        ("broken.gz", b"\x1f\x8bno gzip", "file must be a whole gzip or zstd file, got"),
        (
            "cut.gz",
            gzip.compress(SOME_IDS.encode(), mtime=0)[:-12],
            "file must be a whole gzip or zstd file, got",
        ),
        ("latin.tsv", b"q2\td2\td3\nq\xe9\td\te\n", "latin.tsv:2: text must be UTF-8, got"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(read, tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        read(Triples(tmp_path / name))


@pytest.mark.parametrize("kind", [Triples, TextTriples, ScoredTriples, DocPairs])
def test_arguments_are_checked_before_anything_is_read(kind):
    with pytest.raises(InputError, match="lines_per_group must be at least 1, got 0"):
        kind("anything", lines_per_group=0)
    with pytest.raises(InputError, match="limit must be at least 1, got 0"):
        DocPairs("anything", limit=0)


def test_queries_that_evaluation_asks_are_left_out_by_their_text(read, write, collection):
    asked = collection.queries["q0"]  # of the test split; q5 is one, too, q2 is not
    found = read(Triples(write("q5\td5\td3\nq2\td2\td3\nq5\td5\td4\n")))
    assert [group.query_id for group in found.groups] == ["q2"]
    assert found.left_out["in_evaluation_split"] == 2
    found = read(TextTriples(write(f"{asked.upper()} \tthis\tthat\nwhat\tthis\tthat\n")))
    assert [query for query, *_ in texts_of(found, collection)] == ["what"]
    assert found.left_out["in_evaluation_split"] == 1
    lines = [json.dumps({"query": q, "pos": "p", "neg": n}) for q, n in ((asked, "n"), ("x", []))]
    with pytest.raises(InputError, match="to learn from, got none .*'in_evaluation_split': 1"):
        read(JsonLines(write("\n".join(lines))))


def test_leaks_are_refused_where_that_is_asked_also_through_an_old_index(read, write):
    path = write("q5\td5\td3\nq2\td2\td3\n")
    assert len(read(Triples(path)).groups) == 1
    message = f"got 'refuse' with 1 groups of such queries in {path}"
    with pytest.raises(InputError, match=message):
        read(Triples(path), leak_policy="refuse")
    assert len(read(Triples(write(SOME_IDS)), leak_policy="refuse").groups) == 3


def test_what_evaluation_asks_is_part_of_what_an_index_is(read, write, collection):
    path = write("q5\td5\td3\nq2\td2\td3\n")
    assert len(read(Triples(path)).groups) == 1
    nothing = find_leaks(collection, None, ())
    assert len(read(Triples(path), leaks=nothing).groups) == 2


def test_mined_negatives_are_training_data_too(collection, tmp_path):
    task = task_of(collection, tmp_path)
    (phase,) = MinedNegatives(NEGATIVES).make_phases(task)
    assert (phase.name, phase.share) == ("all", 1.0)
    found = phase.groups
    assert {len(group.doc_ids) for group in found.groups} == {3}
    assert found.put_texts_over(collection) is collection


LINES = 200_000


def write_many(write, lines):
    train = [n for n in range(96) if n % 5 > 1]
    rows = (
        f"{n % 7}.5\t-{n % 3}.25\tq{train[n % 57]}\td{train[n % 57]}\td{n * 7 % 19 * 5}\n"
        for n in range(lines)
    )
    return write("".join(rows), "many.tsv")


def test_two_hundred_thousand_lines_are_on_disk_and_only_those_asked_for_are_parsed(
    write, collection, tmp_path, tiny_bert, monkeypatch
):
    many = write_many(write, LINES)
    data, task = ScoredTriples(many), task_of(collection, tmp_path)
    expected = many.read_text().splitlines()
    data.make_phases(task)  # makes the index
    parsed = []
    parse = TripleLines.parse
    monkeypatch.setattr(
        TripleLines, "parse", lambda self, line: parsed.append(line) or parse(self, line)
    )
    network = CrossEncoder(str(tiny_bert)).network
    tracemalloc.start()
    (phase,) = data.make_phases(task)
    found = phase.groups
    steps = StepData(
        [phase], 10, CollectionTexts(collection), network, batch_size=4, tokens=10**6, seed=0
    )
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found.groups) == LINES
    assert parsed == expected[:1]  # the first is looked at before any work
    assert held / LINES < 0.5  # bytes; one group as an object takes hundreds
    assert peak / LINES < 20  # an epoch's random order is eight bytes a line
    chosen = [group.query_id for group in steps.groups(3)]
    assert len(parsed) == 1 + 4
    assert [line.split("\t")[2] for line in parsed[1:]] == chosen
    place = LINES - 12_345
    row = expected[place].split("\t")
    group = found.groups[place]
    assert (group.query_id, *group.doc_ids) == tuple(row[2:])
    assert group.teacher_scores == (float(row[0]), float(row[1]))


def test_an_index_is_written_piece_by_piece(write, collection, tmp_path):
    lines = ROWS_HELD + 5000
    data, task = ScoredTriples(write_many(write, lines)), task_of(collection, tmp_path)
    tracemalloc.start()
    data.make_phases(task)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4e6
    (index,) = (tmp_path / "store" / "training_index").glob("*/index")
    assert index.stat().st_size == lines * 32


def test_groups_travel_to_other_processes_as_paths(read, write, collection):
    path = write("what is new\tthis is new\tthis is old\n")
    found = read(TextTriples(path))
    before = texts_of(found, collection)  # maps the file
    sent = pickle.dumps(found)
    assert len(sent) < 2000
    assert texts_of(pickle.loads(sent), collection) == before
    assert isinstance(found.groups, LineGroups)


def test_alike_groups_speak_for_each_other(read, write):
    found = read(ScoredTriples(write("1\t0\tq2\td2\td3\n")))
    assert found.untaught == 0
    one = replace(found.groups[0], teacher_scores=None)
    assert TrainingGroups((found.groups[0], one), {}).untaught == 1
