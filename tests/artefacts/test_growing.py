"""Files that grow are known again by their checksums, and by nothing less."""

import json

import numpy as np
import pytest

from recross.artefacts.growing import WRITTEN, GrowingFiles


@pytest.fixture
def folder(tmp_path):
    """Two files of two parts each."""
    files = GrowingFiles(tmp_path, "a", "b")
    for number in (1, 2):
        part = np.full(3, number, dtype=np.int16)
        files.append({"a": part, "b": part[:1]}, {"parts": number})
    return tmp_path


def contents(folder):
    return [np.fromfile(folder / name, np.int16).tolist() for name in ("a", "b")]


def test_what_was_written_is_found_and_what_lies_behind_it_cut_off(folder, caplog):
    with (folder / "a").open("ab") as file:
        file.write(b"half a part")
    files = GrowingFiles(folder, "a", "b")
    assert files.facts == {"parts": 2}
    files.append({"a": np.full(1, 7, dtype=np.int16)}, {"parts": 3})
    assert GrowingFiles(folder, "a", "b").facts == {"parts": 3}
    assert contents(folder) == [[1, 1, 1, 2, 2, 2, 7], [1, 2]]
    assert not caplog.records


@pytest.mark.parametrize("place", range(12))
def test_a_bit_anywhere_that_changed_lets_all_files_begin_again(folder, caplog, place):
    content = bytearray((folder / "a").read_bytes())
    content[place] ^= 4
    (folder / "a").write_bytes(content)
    assert GrowingFiles(folder, "a", "b").facts == {}
    assert contents(folder) == [[], []]
    assert caplog.messages == [f"{folder}: a is not what was written; begun again"]
    assert GrowingFiles(folder, "a", "b").facts == {}
    assert len(caplog.messages) == 1


@pytest.mark.parametrize("name", ["a", "b"])
def test_a_file_that_is_gone_or_shorter_begins_again(folder, caplog, name):
    with (folder / name).open("r+b") as file:
        file.truncate(2)
    assert GrowingFiles(folder, "a", "b").facts == {}
    GrowingFiles(folder, "a", "b").append({"a": np.zeros(2), "b": np.zeros(2)}, {"parts": 1})
    (folder / name).unlink()
    assert GrowingFiles(folder, "a", "b").facts == {}
    assert len(caplog.messages) == 2


@pytest.mark.parametrize("change", [lambda text: text[:-3], lambda text: text.replace("2", "3")])
def test_a_record_that_is_damaged_is_not_believed(folder, caplog, change):
    (folder / WRITTEN).write_text(change((folder / WRITTEN).read_text()))
    assert GrowingFiles(folder, "a", "b").facts == {}
    assert caplog.messages == [
        f"{folder}: {WRITTEN} is damaged or of an older version; begun again"
    ]


def test_a_record_without_checksums_is_of_an_older_version(tmp_path, caplog):
    (tmp_path / "a").write_bytes(b"1234")
    (tmp_path / WRITTEN).write_text(json.dumps({"parts": 1}))
    assert GrowingFiles(tmp_path, "a").facts == {}
    assert (tmp_path / "a").read_bytes() == b""
    assert "older version" in caplog.text
