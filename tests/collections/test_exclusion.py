import json
import logging

import pytest

from recross.collections.collection import Collection
from recross.collections.exclusion import exclude, read_excluded, read_excluded_in_queries, unite
from recross.collections.files import BeirFolder, TrecFiles, write_beir
from recross.errors import InputError


def toy(**texts):
    queries = {"q1": "cats", "q2": "dogs"}
    return Collection("toy", texts, queries, {"test": ("q1", "q2")}, {"test": {}}, "toy")


def test_a_file_of_pairs_and_one_of_json_lines_exclude_the_same(tmp_path):
    pairs, lines = tmp_path / "excluded.tsv", tmp_path / "queries.jsonl"
    pairs.write_text("query-id\tcorpus-id\nq1\td1\nq1\td2\n\nq2\td1\n")
    records = [
        {"id": "q1", "query": "cats", "excluded_ids": ["d1", "d2"]},
        {"_id": "q2", "excluded_ids": ["d1"]},
        {"_id": "q3", "text": "birds"},
    ]
    lines.write_text("".join(json.dumps(record) + "\n" for record in records))
    expected = {"q1": {"d1", "d2"}, "q2": {"d1"}}
    assert read_excluded(pairs) == read_excluded_in_queries(lines) == expected


def test_tab_separated_queries_exclude_nothing(tmp_path):
    (tmp_path / "queries.tsv").write_text("q1\ta query\n")
    assert read_excluded_in_queries(tmp_path / "queries.tsv") == {}


@pytest.mark.parametrize(
    "line, message",
    [
        ("q1 d1", "excluded:1: expected query, tab, document, got 'q1 d1'"),
        ('{"_id": "q1", "excluded_ids": "d1"}', "excluded_ids must be a list of ids, got 'd1'"),
        ('{"excluded_ids": []}', "expected an '_id', got the keys excluded_ids"),
        ("{", "expected a JSON object"),
    ],
)
def test_a_malformed_line_is_named(tmp_path, line, message):
    (tmp_path / "excluded").write_text(line)
    with pytest.raises(InputError, match=message):
        read_excluded(tmp_path / "excluded")


def test_what_several_sources_exclude_is_united():
    first, second = {"q1": frozenset({"a"})}, {"q1": frozenset({"b"}), "q2": frozenset({"a"})}
    assert unite(first, second) == {"q1": {"a", "b"}, "q2": {"a"}}


def test_excluding_changes_what_a_collection_is_and_not_what_its_texts_are():
    whole = toy(d1="cats")
    part = whole.excluding({"q1": frozenset({"d1"})})
    assert part.texts_fingerprint == whole.texts_fingerprint
    assert part.fingerprint != whole.fingerprint
    assert part.fingerprint != whole.excluding({"q1": frozenset({"d2"})}).fingerprint
    with pytest.raises(InputError, match="excluded documents must be those of queries of 'toy'"):
        whole.excluding({"q9": frozenset({"d1"})})


def test_queries_that_are_documents_are_named_unless_they_are_excluded(caplog):
    themselves = toy(q1="About: cats", q2="a coincidence")
    with caplog.at_level(logging.WARNING):
        exclude(themselves, {}, ignore_identical_ids=False)
    assert "1 queries are documents themselves, with the same id and text" in caplog.text
    caplog.clear()
    left_out = exclude(themselves, {}, ignore_identical_ids=True)
    exclude(themselves, {"q1": frozenset({"q1"})}, ignore_identical_ids=False)
    assert left_out.excluded == {"q1": {"q1"}, "q2": {"q2"}}
    assert caplog.text == ""


def test_beir_folders_and_trec_files_exclude_what_their_files_say(tmp_path):
    whole = toy(d1="cats", q1="cats")
    written = Collection(
        "toy",
        whole.documents,
        whole.queries,
        whole.split_queries,
        {"test": {"q1": {"d1": 1}, "q2": {"d1": 1}}},
        "toy",
    ).excluding({"q2": frozenset({"d1"})})
    write_beir(tmp_path, written)
    assert BeirFolder(tmp_path).load().excluded == {"q2": {"d1"}}
    both = BeirFolder(tmp_path, ignore_identical_ids=True).load()
    assert both.excluded == {"q1": {"q1"}, "q2": {"d1", "q2"}}
    files = TrecFiles(
        tmp_path / "corpus.jsonl",
        tmp_path / "queries.jsonl",
        {"test": tmp_path / "qrels" / "test.tsv"},
        excluded=tmp_path / "excluded.tsv",
    )
    assert files.load().excluded == {"q2": {"d1"}}
