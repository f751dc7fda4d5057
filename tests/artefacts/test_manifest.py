"""A folder that is sealed says of each of its files whether it is what was written."""

import pytest

from recross.artefacts import manifest
from recross.artefacts.manifest import MANIFEST, find_damage, read_sealed, seal_folder


@pytest.fixture
def sealed(tmp_path):
    folder = tmp_path / "folder"
    (folder / "inner").mkdir(parents=True)
    (folder / "run.trec").write_text("q Q0 d 1 2.0 t\n" * 100)
    (folder / "inner" / "vectors.bin").write_bytes(bytes(range(256)) * 16)
    (folder / "empty").touch()
    seal_folder(folder, {"identity": {"x": "ü 文 \udc80"}, "fact": 1})
    return folder


def test_a_manifest_holds_facts_sizes_and_checksums(sealed):
    found = read_sealed(sealed)
    assert (found["identity"], found["fact"]) == ({"x": "ü 文 \udc80"}, 1)
    sizes = {name: facts["bytes"] for name, facts in found["files"].items()}
    assert sizes == {"empty": 0, "inner/vectors.bin": 4096, "run.trec": 1500}
    assert find_damage(sealed) is None


def test_every_single_byte_of_a_manifest_counts(sealed):
    path = sealed / MANIFEST
    content = path.read_bytes()
    for place in range(len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        assert find_damage(sealed) == f"{MANIFEST} is damaged or of an older version", place
    path.write_bytes(content)
    assert find_damage(sealed) is None


@pytest.mark.parametrize("name", ["run.trec", "inner/vectors.bin"])
@pytest.mark.parametrize("place", [0, 700, -1])
def test_a_flipped_byte_is_found_and_its_file_named(sealed, name, place):
    content = bytearray((sealed / name).read_bytes())
    content[place] ^= 1
    (sealed / name).write_bytes(content)
    assert find_damage(sealed) == f"{name} is not what was written"


def test_what_was_verified_is_not_read_again_until_it_is_written_to(sealed, monkeypatch):
    assert find_damage(sealed) is None
    read = []
    whole = manifest.sum_up
    monkeypatch.setattr(manifest, "sum_up", lambda path: read.append(path) or whole(path))
    assert find_damage(sealed) is None
    assert read == []
    content = (sealed / "run.trec").read_bytes()
    (sealed / "run.trec").write_bytes(content[:-1] + b"x")
    assert find_damage(sealed) == "run.trec is not what was written"


def test_a_manifest_of_some_files_answers_for_those(sealed):
    seal_folder(sealed, {}, ["run.trec"])
    (sealed / "empty").write_text("changed")
    assert find_damage(sealed) is None
    (sealed / "run.trec").unlink()
    assert find_damage(sealed) == "run.trec is missing"
