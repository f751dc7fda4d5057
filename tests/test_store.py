import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import pytest

from recross.errors import InputError
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
    manifest = read_manifest(folder)
    assert (manifest["identity"], manifest["fact"]) == ({"x": 1}, 1)
    assert manifest["recross"] == version("recross")
    assert manifest["files"].keys() == {"file"}


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


def write_three(folder):
    (folder / "inner").mkdir()
    (folder / "run.trec").write_text("q Q0 d 1 2.0 t\n")
    (folder / "inner" / "vectors.bin").write_bytes(b"1234")
    return {}


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES = {
    "flipped": flip,
    "emptied": lambda path: path.write_bytes(b""),
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"x"),
    "missing": lambda path: path.unlink(),
}


@pytest.mark.parametrize("name", ["run.trec", "inner/vectors.bin", "manifest.json"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_artefact_is_made_again_and_that_is_said(tmp_path, caplog, name, damage):
    store = Store(tmp_path)
    folder = store.artefact("kind", {"x": 1}, write_three)
    whole = (folder / name).read_bytes()
    DAMAGES[damage](folder / name)
    assert store.find("kind", {"x": 1}) is None
    caplog.clear()
    assert store.artefact("kind", {"x": 1}, write_three) == folder
    (said,) = caplog.messages
    assert str(folder) in said
    assert name in said
    assert "made again" in said
    assert (folder / name).read_bytes() == whole
    assert store.artefact("kind", {"x": 1}, pytest.fail) == folder
    assert len(caplog.messages) == 1
    assert {path.name for path in folder.parent.iterdir()} == {folder.name, f".{folder.name}.lock"}


def test_an_artefact_of_a_version_that_wrote_no_checksums_is_made_again(tmp_path, caplog):
    store = Store(tmp_path)
    folder = store.artefact("kind", {"x": 1}, write_three)
    (folder / "manifest.json").write_text(json.dumps({"identity": {"x": 1}}))
    store.artefact("kind", {"x": 1}, write_three)
    assert "of an older version; it is made again" in caplog.text


def test_what_dead_processes_left_half_written_is_gone_when_the_next_one_is_done(tmp_path):
    store = Store(tmp_path)

    def crash(folder):
        for name in ("a.json.partial-1", "state.pt.partial", ".tmp1rjb6O", "kept"):
            (folder / name).write_text("x")
        raise RuntimeError("power cut")

    for resumable in (True, False):
        with pytest.raises(RuntimeError):
            store.artefact("kind", {"x": resumable}, crash, resumable)
        folder = store.artefact("kind", {"x": resumable}, lambda _: {}, resumable)
        kept = {"kept"} if resumable else set()
        assert {path.name for path in folder.iterdir()} == {"manifest.json"} | kept


def test_a_store_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "store").touch()
    with pytest.raises(InputError, match="folder must be one that can be written"):
        Store(tmp_path / "store").artefact("kind", {"x": 1}, write_three)


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
