"""Whatever file of a store is damaged, it is noticed before it is used, said, and made again."""

import json
import shutil
from pathlib import Path

import pytest

from recross import store
from recross.command.cli import main
from recross.store import Store
from tests.experiment.tiny_experiment import folder_of, read_facts, read_steps, write_tiny

DAMAGES = {
    "flipped": lambda whole: whole[: len(whole) // 2] + flip(whole) + whole[len(whole) // 2 + 1 :],
    "emptied": lambda _: b"",
    "truncated": lambda whole: whole[:-1],
}


def flip(whole):
    return bytes([whole[len(whole) // 2] ^ 1])


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of an experiment over two first stages, and the words that run it."""
    folder = tmp_path_factory.mktemp("damaged")
    found = [word for word in write_tiny(folder) if not word.startswith("retriever=")]
    checkpoint = "retriever.retrievers.biencoder.checkpoint=embedded:all-minilm-l6-v2"
    words = ["run", *found, "retriever=hybrid", checkpoint, "cache.enabled=false"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("recross.inference.texts.collection_texts.KEPT_FROM", 10)
        assert main(words) == 0
        yield folder, words


@pytest.fixture(autouse=True)
def said_anew():
    """What was said of a damage in another test is said again."""
    store._say_unused.cache_clear()


def list_artefacts(folder):
    return sorted(path.parent for path in (folder / "out/store").glob("*/[!.]*/manifest.json"))


def list_damageable(artefact):
    files = [path for path in artefact.rglob("*") if path.is_file()]
    return [path for path in sorted(files) if path.stat().st_size]


def test_every_file_of_every_artefact_is_missed(finished, caplog):
    folder, _ = finished
    artefacts = list_artefacts(folder)
    assert {path.parent.name for path in artefacts} >= {
        *("bm25", "vectors", "runs", "negatives", "checkpoints", "texts", "token_ids"),
    }
    kept = Store(folder / "out/store")
    for artefact in artefacts:
        kind = artefact.parent.name
        identity = json.loads((artefact / "manifest.json").read_text())["identity"]
        assert kept.find(kind, identity) == artefact
        for path in list_damageable(artefact):
            whole = path.read_bytes()
            for damage in DAMAGES.values():
                path.write_bytes(damage(whole))
                assert kept.find(kind, identity) is None, path
            path.write_bytes(whole)
            assert path.name in caplog.messages[-1]
        assert kept.find(kind, identity) == artefact


def test_a_store_in_which_everything_is_damaged_is_made_again_with_the_same_result(
    finished, caplog
):
    folder, words = finished
    whole = read_facts(folder_of(folder) / "result.json")
    before = {path: path.read_bytes() for path in folder_of(folder).glob("*.trec")}
    artefacts = list_artefacts(folder)
    for number, artefact in enumerate(artefacts):
        files = list_damageable(artefact)
        path = files[number % len(files)]
        path.write_bytes(list(DAMAGES.values())[number % 3](path.read_bytes()))
    assert main([*words, "reuse=false"]) == 0
    for artefact in artefacts:
        assert any(str(artefact) in text for text in caplog.messages), artefact
    assert read_facts(folder_of(folder) / "result.json") == whole
    assert {path: path.read_bytes() for path in before} == before
    assert read_steps(folder_of(folder)) == [1, 2, 3, 4]
    caplog.clear()
    assert main([*words, "reuse=false"]) == 0
    assert "made again" not in caplog.text


@pytest.mark.ci
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("damage", DAMAGES)
def test_each_file_that_is_damaged_alone_is_made_again_where_it_is_read(finished, caplog, damage):
    folder, words = finished
    result = folder_of(folder) / "result.json"
    whole = read_facts(result)
    sealed = json.loads((folder_of(folder) / "manifest.json").read_text())["files"]
    of_result = [folder_of(folder) / name for name in sealed]
    of_store = [path for artefact in list_artefacts(folder) for path in list_damageable(artefact)]
    for path in [*of_result, *of_store]:
        kept = folder.with_name("kept")
        shutil.copytree(folder, kept, dirs_exist_ok=True)
        damaged = DAMAGES[damage](path.read_bytes())
        path.write_bytes(damaged)
        caplog.clear()
        assert main([*words, f"reuse={str(path in of_result).lower()}"]) == 0, path
        noticed = any(
            find_name(path, folder) in text for text in caplog.messages if "again" in text
        )
        is_unread = path in of_store and path.read_bytes() == damaged  # its use is finished
        assert noticed != is_unread, path
        assert read_facts(result) == whole, path
        shutil.rmtree(folder)
        kept.rename(folder)


def find_name(path: Path, folder):
    """A file's name within its artefact or its finished folder."""
    inside = path.relative_to(folder_of(folder)) if "out/s/" in str(path) else Path(path.name)
    return inside.as_posix()
