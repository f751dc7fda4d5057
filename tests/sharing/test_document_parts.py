"""Parts of what is made of all documents: which documents they are, and when they are there."""

import pytest

from recross.errors import RunError
from recross.sharing.document_parts import DocumentParts
from recross.sharing.work import do_pieces
from recross.store import Store


def make_parts(folder, documents, made):
    def make(span, path):
        made.append((span.start, span.stop))
        (path / "numbers").write_text(" ".join(map(str, span)))
        return {}

    return DocumentParts(Store(folder), "whole", {"of": "these"}, documents, 4, make)


@pytest.mark.parametrize("documents", [0, 1, 4, 9])
def test_every_document_is_in_one_part(tmp_path, documents):
    made = []
    parts = make_parts(tmp_path, documents, made)
    do_pieces(parts, 0)
    held = [(parts.find(number) / "numbers").read_text().split() for number in range(len(parts))]
    assert [int(number) for part in held for number in part] == list(range(documents))


def test_a_process_begins_where_it_is_told_and_ends_with_all(tmp_path):
    made = []
    do_pieces(make_parts(tmp_path, 18, made), 3)
    assert made == [(12, 16), (16, 18), (0, 4), (4, 8), (8, 12)]
    do_pieces(make_parts(tmp_path, 18, made), 0)
    assert len(made) == 5  # they are there


def test_parts_are_finished_once_the_whole_is(tmp_path):
    parts = make_parts(tmp_path, 9, [])
    parts.make(1)
    assert [parts.is_finished(number) for number in range(3)] == [False, True, False]
    parts.store.artefact(parts.whole, parts.identity, lambda _: {})
    parts.drop(1)
    assert parts.find(1) is None
    assert all(map(parts.is_finished, range(3)))


def test_other_sizes_are_other_parts(tmp_path):
    parts = make_parts(tmp_path, 9, [])
    longer = make_parts(tmp_path, 12, [])
    parts.make(2)
    assert not longer.is_finished(2)


def test_a_process_that_was_not_told_of_all_is_told_of_one(tmp_path):
    parts = make_parts(tmp_path, 9, [])
    assert parts.take(parts.tell(2)) == (parts, 2)


def test_parts_go_once_the_whole_is_there_and_stay_where_it_fails(tmp_path):
    parts = make_parts(tmp_path, 9, [])

    def put_together(folder):
        for number in range(3):
            parts.make(number)
        (folder / "whole").touch()
        if len(failures) < 1:
            failures.append(folder)
            raise KeyboardInterrupt
        return {}

    failures = []
    with pytest.raises(KeyboardInterrupt):
        parts.join(put_together)
    assert all(parts.find(number) is not None for number in range(3))
    folder = parts.join(put_together)
    assert (folder / "whole").is_file()
    assert not any(parts.find(number) for number in range(3))
    assert parts.join(None) == folder  # which is not made again


def test_a_part_that_is_gone_before_all_are_put_together_is_said(tmp_path):
    made = []
    parts = make_parts(tmp_path, 9, made)
    parts.make(1)
    parts.make_all()
    assert made == [(4, 8), (0, 4), (8, 9)]
    assert parts.find_made(2) == parts.find(2)
    parts.drop(2)
    with pytest.raises(RunError, match="every part of whole must be in the store .* number 2"):
        parts.find_made(2)
