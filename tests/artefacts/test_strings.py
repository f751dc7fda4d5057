"""Strings on disk are those that were written, by number and by what they are."""

import pytest

from recross.artefacts import strings
from recross.artefacts.strings import NameFile, StringFile

WORDS = ["one", "", "zwölf", "日本", "\ud800 half", "two\nlines", "one"]


@pytest.mark.parametrize("at_once", [1, 2, 100])
def test_strings_are_read_by_number_by_slice_and_in_order(tmp_path, monkeypatch, at_once):
    monkeypatch.setattr(strings, "STRINGS_AT_ONCE", at_once)
    monkeypatch.setattr(strings, "_LENGTHS_AT_ONCE", at_once)
    found = StringFile.write(tmp_path, "words", WORDS)
    assert list(found) == WORDS
    assert [found[number] for number in range(len(found))] == WORDS
    assert found[-2] == WORDS[-2]
    assert found[1:4] == WORDS[1:4]
    assert found[::-2] == WORDS[::-2]
    with pytest.raises(IndexError):
        found[len(WORDS)]


def test_no_strings_are_a_file_of_none(tmp_path):
    found = StringFile.write(tmp_path, "words", [])
    assert list(found) == []
    assert NameFile.finish(found).find("one") is None


def test_a_string_is_found_by_what_it_is_the_first_of_equal_ones(tmp_path):
    names = NameFile.finish(StringFile.write(tmp_path, "words", WORDS))
    assert [names.find(word) for word in WORDS] == [0, 1, 2, 3, 4, 5, 0]
    assert names.find("three") is None
    assert names.find_twice() == "one"
    distinct = StringFile.write(tmp_path, "others", WORDS[:-1])
    assert NameFile.finish(distinct).find_twice() is None


def test_strings_of_one_hash_are_told_apart(tmp_path, monkeypatch):
    monkeypatch.setattr(strings, "_hash", lambda name: len(name))
    names = NameFile.finish(StringFile.write(tmp_path, "words", ["ab", "cd", "e", "ef"]))
    assert [names.find(word) for word in ("ab", "cd", "ef", "e", "gh")] == [0, 1, 3, 2, None]
    assert names.find_twice() is None
