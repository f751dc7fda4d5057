"""``recross store``: what is there, is it sound, what can go, why are two not the same."""

import json
import os
import time

import pytest

from recross.artefacts.locks import hold_alone
from recross.command.cli import main
from recross.store import Store


def write(folder):
    (folder / "run.trec").write_bytes(b"x" * 500_000)
    return {}


BM25 = {"class": "BM25", "k1": 0.9, "b": 0.4}


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def three(store):
    """Two runs that differ in one value, and an index."""
    runs = [{"retriever": {**BM25, "k1": k1}, "query_ids": ["a", "b", "c", "d"]} for k1 in (1, 2)]
    folders = [store.artefact("runs", identity, write) for identity in runs]
    return [*folders, store.artefact("bm25", {"retriever": BM25}, write)]


def said_by(capsys, store, *words):
    code = main(["store", *words, "--store", str(store.root)])
    return code, capsys.readouterr().out


def test_list_names_kind_fingerprint_size_and_what_made_each(store, three, capsys):
    (store.root / "scores").mkdir()  # the score cache is no artefact
    (store.root / "bm25" / ".0123456789abcdef.partial").mkdir()
    code, said = said_by(capsys, store, "list")
    assert code == 0
    lines = said.splitlines()
    (own,) = (line for line in lines if three[0].name in line)
    assert (
        own.split()
        == (
            f"runs {three[0].name} 0.5 MB 0 d retriever=BM25(k1=1, b=0.4) query_ids=[4 values]"
        ).split()
    )
    assert sum("never finished" in line for line in lines[:-1]) == 1
    assert lines[-1] == f"{store.root}: 3 artefacts, 1 never finished, 1.5 MB"


def test_verify_finds_what_is_damaged_and_repair_deletes_it(store, three, capsys):
    assert said_by(capsys, store, "verify") == (0, f"{store.root}: 3 artefacts, 0 damaged\n")
    content = bytearray((three[1] / "run.trec").read_bytes())
    content[1000] ^= 1
    (three[1] / "run.trec").write_bytes(content)
    code, said = said_by(capsys, store, "verify")
    assert code == 1
    assert f"{three[1]}: run.trec is not what was written\n" in said
    code, said = said_by(capsys, store, "verify", "--repair")
    assert (code, three[1].exists(), three[0].exists()) == (0, False, True)
    assert "(deleted)" in said
    assert said_by(capsys, store, "verify") == (0, f"{store.root}: 2 artefacts, 0 damaged\n")


def test_gc_deletes_what_nobody_will_read_and_a_dry_run_only_says_it(
    store, three, capsys, monkeypatch
):
    partial = three[2].with_name(".0123456789abcdef.partial")
    partial.mkdir()
    (partial / "vectors.bin").write_bytes(b"x" * 2_000_000)
    with monkeypatch.context() as patch:
        patch.setattr("importlib.metadata.version", lambda _: "0.0.1")
        old = store.artefact("runs", {"retriever": "old"}, write)
    long_ago = time.time() - 40 * 86_400
    for path in (three[0], three[0].with_name(f".{three[0].name}.lock")):
        os.utime(path, (long_ago, long_ago))
    code, said = said_by(capsys, store, "gc", "--dry-run", "--older-than", "30")
    assert code == 0
    assert f"{partial}: never finished, 2.0 MB\n" in said
    assert f"{old}: of recross 0.0.1, 0.5 MB\n" in said
    assert f"{three[0]}: not used for 40 days, 0.5 MB\n" in said
    assert said.endswith("3.0 MB would be freed\n")
    assert all(path.exists() for path in (*three, old, partial))
    assert said_by(capsys, store, "gc")[1].endswith("2.5 MB freed\n")
    assert [path.exists() for path in (*three, old, partial)] == [True] * 3 + [False] * 2
    assert store.artefact("runs", {"x": 1}, write).is_dir()
    assert store.find("runs", {"x": 1}) is not None
    said_by(capsys, store, "gc", "--older-than", "30")
    assert [path.exists() for path in three] == [False, True, True]
    assert not list(store.root.rglob("*partial*"))


def test_an_artefact_that_is_asked_for_is_of_use(store, capsys):
    folder = store.artefact("runs", {"x": 1}, write)
    long_ago = time.time() - 40 * 86_400
    for path in (folder, folder.with_name(f".{folder.name}.lock")):
        os.utime(path, (long_ago, long_ago))
    store.artefact("runs", {"x": 1}, pytest.fail)
    said_by(capsys, store, "gc", "--older-than", "30")
    assert folder.exists()


def test_gc_leaves_what_a_process_is_making(store, capsys):
    partial = store.root / "runs" / ".0123456789abcdef.partial"
    partial.mkdir(parents=True)
    with hold_alone(partial.with_name(".0123456789abcdef.lock"), "runs"):
        _, said = said_by(capsys, store, "gc")
    assert "kept: a process is at work there" in said
    assert partial.exists()


def test_why_names_the_values_that_differ_from_the_nearest_of_its_kind(store, three, capsys):
    far = {"retriever": {"class": "BM25", "k1": 9, "b": 9}, "query_ids": ["z"], "depth": 5}
    store.artefact("runs", far, write)
    for name in (three[0].name, three[0].name[:10], str(three[0])):
        code, said = said_by(capsys, store, "why", name)
        assert code == 0
        assert said.splitlines() == [
            f"{three[0]} differs from {three[1]} in",
            *("  retriever.k1", "    1", "    2"),
        ]
    assert "there is no other of its kind (bm25)" in said_by(capsys, store, "why", three[2].name)[1]


def test_why_compares_an_experiment_with_the_others_of_its_study(tmp_path, store, capsys):
    from recross.experiment.finished_folder import seal_finished

    store.root.mkdir()
    for seed in (0, 1):
        folder = tmp_path / "study" / "name" / f"seed={seed}"
        folder.mkdir(parents=True)
        (folder / "result.json").write_text("{}")
        seal_finished(folder, {"class": "Experiment", "seed": seed, "depth": 10})
    code, said = said_by(capsys, store, "why", str(folder))
    assert code == 0
    assert said.splitlines()[1:] == ["  seed", "    1", "    0"]


@pytest.mark.parametrize(
    "words, says",
    [
        (["store"], "list|verify|gc|why"),
        (["store", "lost"], "'lost'"),
        (["store", "list", "--repair"], "unrecognized arguments: --repair"),
        (["store", "list", "--store", "gone"], "--store must be a folder, got 'gone'"),
        (["store", "gc", "--older-than", "-1"], "at least 0, got '-1'"),
        (
            ["store", "gc", "--older-than", "soon"],
            "a number of days, at least 0, got 'soon'",
        ),
        (["store", "gc", "--older-than", "nan"], "at least 0, got 'nan'"),
        (["store", "why"], "FINGERPRINT|FOLDER"),
        (["store", "why", "ffff", "--store", "."], "got 'ffff': none does"),
        (["store", "why", "", "--store", "."], "got ''"),
    ],
)
def test_wrong_words_are_one_line_and_exit_code_2(words, says, caplog, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    (said,) = caplog.messages
    assert says in said


def test_a_beginning_that_several_have_is_refused(store, caplog):
    for number in range(17):
        store.artefact("runs", {"x": number}, write)
    firsts = [path.name[0] for path in (store.root / "runs").iterdir() if path.name[0] != "."]
    twice = next(first for first in firsts if firsts.count(first) > 1)
    assert main(["store", "why", twice, "--store", str(store.root)]) == 2
    assert f"{firsts.count(twice)} begin so" in caplog.text


def test_a_manifest_without_identity_cannot_say_why(tmp_path, caplog):
    from recross.artefacts.manifest import seal_folder

    seal_folder(tmp_path, json.loads("{}"))
    assert main(["store", "why", str(tmp_path), "--store", str(tmp_path)]) == 2
    assert "must say what it was made from" in caplog.text
