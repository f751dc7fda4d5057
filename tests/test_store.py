import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from recross.machine.hardware import Hardware
from recross.parts.identity import READ, describe, fingerprint
from recross.store import Store, hash_files, read_manifest


@dataclass(frozen=True)
class Part:
    depth: int
    place: str = field(default="here", compare=False)


def test_where_a_thing_is_stored_is_not_part_of_what_it_is():
    assert fingerprint(Part(1, "here")) == fingerprint(Part(1, "there"))
    assert fingerprint(Part(1)) != fingerprint(Part(2))


def test_equal_fields_of_different_classes_differ():
    @dataclass(frozen=True)
    class Other:
        depth: int

    assert fingerprint(Part(1)) != fingerprint(Other(1))


def test_an_artefact_is_made_once_even_by_many_at_once(tmp_path):
    made = []

    def make(folder):
        made.append(folder)
        (folder / "file").write_text("content")
        return {"fact": 1}

    with ThreadPoolExecutor(8) as pool:
        store = Store(tmp_path)
        folders = set(pool.map(lambda _: store.artefact("kind", {"x": 1}, make), range(16)))
    assert len(made) == len(folders) == 1
    folder = folders.pop()
    assert (folder / "file").read_text() == "content"
    assert read_manifest(folder) == {"identity": {"x": 1}, "fact": 1}


def test_a_crash_while_making_leaves_no_artefact_and_the_next_try_succeeds(tmp_path):
    store = Store(tmp_path)

    def crash(folder):
        (folder / "half").write_text("x")
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        store.artefact("kind", {"x": 1}, crash)
    folder = store.artefact("kind", {"x": 1}, lambda _: {})
    assert [path.name for path in folder.iterdir()] == ["manifest.json"]


def test_what_can_be_resumed_finds_what_an_interruption_left(tmp_path):
    store = Store(tmp_path)

    def crash(folder):
        (folder / "half").write_text("x")
        raise RuntimeError("power cut")

    def finish(folder):
        return {"found": (folder / "half").read_text()}

    with pytest.raises(RuntimeError):
        store.artefact("kind", {"x": 1}, crash, resumable=True)
    assert not list((tmp_path / "kind").glob("*/manifest.json"))
    folder = store.artefact("kind", {"x": 1}, finish, resumable=True)
    assert read_manifest(folder)["found"] == "x"


def test_descriptions_are_json_and_refuse_what_has_no_description():
    assert json.dumps(describe({"hardware": Hardware(), "tags": ("a", "b"), "none": None}))
    with pytest.raises(TypeError, match="cannot describe a object"):
        describe(object())


def test_the_hash_of_files_follows_their_content(tmp_path):
    (tmp_path / "a").write_text("1")
    before = hash_files(tmp_path / "a")
    (tmp_path / "a").write_text("2")
    assert hash_files(tmp_path / "a") != before


def test_a_file_or_folder_that_changed_is_another_one(tmp_path):
    @dataclass(frozen=True)
    class Reader:
        path: Path
        checkpoint: str = field(metadata=READ)

    (tmp_path / "run.trec").write_text("1")
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "model").write_text("1")
    reader = Reader(tmp_path / "run.trec", str(tmp_path / "weights"))
    first = fingerprint(reader)
    assert fingerprint(reader) == first
    (tmp_path / "run.trec").write_text("22")
    second = fingerprint(reader)
    (tmp_path / "weights" / "model").write_text("22")
    third = fingerprint(reader)
    assert len({first, second, third}) == 3
    assert describe(Reader(Path("gone"), "hub/id")) == {
        "class": describe(reader)["class"],
        "path": "gone",
        "checkpoint": "hub/id",
    }
