from dataclasses import replace

import pytest

from recross.collections.files import BeirFolder, TrecFiles, write_beir
from recross.errors import InputError
from recross.text_files.trec import read_qrels


def test_a_beir_folder_is_read_with_title_and_text_joined(tmp_path):
    folder = tmp_path / "beir"
    (folder / "qrels").mkdir(parents=True)
    (folder / "corpus.jsonl").write_text(
        '{"_id": "d1", "title": "A title", "text": "a text"}\n'
        '{"_id": "d2", "title": "", "text": ""}\n'
    )
    (folder / "queries.jsonl").write_text('{"_id": "q1", "text": "a query"}\n')
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td2\t0\n")
    loaded = BeirFolder(folder, relevant_from=2).load()
    assert loaded.documents == {"d1": "A title a text", "d2": ""}
    assert loaded.qrels("test") == {"q1": {"d1": 2, "d2": 0}}
    assert loaded.relevant("test", "q1") == {"d1"}


def test_a_collection_written_as_beir_reads_back_equal(beir_folder, collection):
    loaded = BeirFolder(beir_folder).load()
    assert loaded.documents == collection.documents
    assert loaded.split_qrels == collection.split_qrels


def test_instructions_of_queries_are_read_from_their_lines_or_a_file_of_their_own(beir_folder):
    before = BeirFolder(beir_folder).load()
    assert before.instructions == {}
    with (beir_folder / "queries.jsonl").open("a") as file:
        file.write('{"_id": "new", "text": "red owl", "instruction": "find animals"}\n')
    assert BeirFolder(beir_folder).load().instructions == {"new": "find animals"}
    (beir_folder / "instructions.tsv").write_text("q0\tfind {colours}\nnew\tfind owls\n")
    loaded = BeirFolder(beir_folder).load()
    assert loaded.instructions == {"q0": "find {colours}", "new": "find owls"}
    (beir_folder / "instructions.tsv").write_text("q0\tfind pets\n")
    assert BeirFolder(beir_folder).load().fingerprint != loaded.fingerprint
    (beir_folder / "instructions.tsv").write_text("nobody\tfind pets\n")
    with pytest.raises(InputError, match="must name known queries, got 'nobody'"):
        BeirFolder(beir_folder).load()


def test_instructions_survive_being_written_as_beir(tmp_path, collection):
    told = {"q0": "find\tanimals", "q5": "two\nlines {of it}"}
    write_beir(tmp_path / "told", replace(collection, instructions=told))
    assert BeirFolder(tmp_path / "told").load().instructions == told


def test_trec_files_have_instructions_in_the_queries_lines_or_a_file(tmp_path):
    (tmp_path / "docs.tsv").write_text("d1\tone text\n")
    (tmp_path / "queries.jsonl").write_text(
        '{"id": "q1", "text": "a", "instruction": "find"}\n{"id": "q2", "text": "b"}\n'
    )
    (tmp_path / "test.qrels").write_text("q1 0 d1 1\n")
    files = TrecFiles(
        *(tmp_path / "docs.tsv", tmp_path / "queries.jsonl", {"test": tmp_path / "test.qrels"})
    )
    plain = files.load()
    assert plain.instructions == {"q1": "find"}
    (tmp_path / "told.tsv").write_text("q2\tleave\nq1\t \n")
    told = replace(files, instructions=tmp_path / "told.tsv").load()
    assert told.instructions == {"q2": "leave"}  # the file has the last word; a blank is none
    assert told.fingerprint != plain.fingerprint


def test_the_fingerprint_follows_the_content(beir_folder):
    before = BeirFolder(beir_folder).load().fingerprint
    with (beir_folder / "corpus.jsonl").open("a") as file:
        file.write('{"_id": "new", "text": "one more"}\n')
    assert BeirFolder(beir_folder).load().fingerprint != before


def test_trec_files_are_read(tmp_path):
    (tmp_path / "docs.tsv").write_text("d1\tone text\nd2\tanother\n")
    (tmp_path / "queries.tsv").write_text("q1\ta query\n")
    (tmp_path / "dev.qrels").write_text("q1 0 d2 1\n")
    source = TrecFiles(
        tmp_path / "docs.tsv", tmp_path / "queries.tsv", {"dev": tmp_path / "dev.qrels"}
    )
    loaded = source.load()
    assert loaded.documents["d2"] == "another"
    assert loaded.qrels("dev") == {"q1": {"d2": 1}}
    with pytest.raises(InputError, match="has the splits dev, got 'test'"):
        loaded.qrels("test")


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(InputError, match=r"collection.folder must be a folder, got '.*gone'"):
        BeirFolder(tmp_path / "gone").load()


def test_a_folder_without_judgments_is_refused(beir_folder):
    for path in (beir_folder / "qrels").iterdir():
        path.unlink()
    with pytest.raises(InputError, match=r"must hold at least one .tsv file"):
        BeirFolder(beir_folder).load()


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "must hold at least one judgment, got none"),
        ("query-id\tcorpus-id\tscore\n", "must hold at least one judgment, got none"),
        ("q1 d1\n", "a.tsv:1: expected 3 or 4 fields, got 2"),
        ("q1 0 d1 yes\n", "a.tsv:1: relevance must be a whole number, got 'yes'"),
    ],
)
def test_bad_judgments_are_refused(tmp_path, text, message):
    (tmp_path / "a.tsv").write_text(text)
    with pytest.raises(InputError, match=message):
        read_qrels(tmp_path / "a.tsv")


@pytest.mark.parametrize(
    "line, message",
    [
        ("{not json", r"corpus.jsonl:97: expected a JSON object"),
        ('{"text": "no id"}', "expected an '_id', got the keys text"),
        (
            '{"_id": "d0", "text": "again"}',
            "97: identifiers must be unique, got 'd0' again, as in line 1",
        ),
        ("no object here", "corpus.jsonl:97: expected a JSON object"),
    ],
)
def test_bad_texts_are_refused_with_their_line(beir_folder, line, message):
    with (beir_folder / "corpus.jsonl").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(InputError, match=message):
        BeirFolder(beir_folder).load()


def test_judgments_of_unknown_queries_are_refused(beir_folder):
    with (beir_folder / "qrels" / "test.tsv").open("a") as file:
        file.write("q999\td1\t1\n")
    with pytest.raises(InputError, match="qrels of 'test' must name known queries, got 'q999'"):
        BeirFolder(beir_folder).load()


def test_ids_that_could_not_be_read_back_are_not_written(tmp_path, collection):
    odd = replace(collection, documents={"a b": "text"})
    with pytest.raises(InputError, match="id must hold no blanks, .* got 'a b'"):
        write_beir(tmp_path, odd)
    assert not (tmp_path / "corpus.jsonl").exists()
