"""Artefacts of the store as crashes, disks and hands leave them: used if sound, else made again."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from recross.artefacts.growing import GrowingFiles
from recross.artefacts.manifest import MANIFEST, seal_folder
from recross.experiment.finished_folder import read_finished, seal_finished
from recross.store import Store
from tests.odd_inputs.odd_input import OddInput, refused

IDENTITY = {"retriever": {"class": "BM25", "k1": 0.9}, "query_ids": ["q1", "q2"]}
RUN = b"q1 Q0 d1 1 2.5 bm25\nq2 Q0 d2 1 1.5 bm25\n"
USED, MADE_AGAIN = (1, RUN), (2, RUN)
"""How often it was made, and what is read of it at the end."""

Change = Callable[[Path], object]


def ask_twice(change: Change):
    """Ask for an artefact before and after a change to its folder."""

    def act(folder: Path) -> tuple[int, bytes]:
        made = []

        def make(into: Path) -> dict[str, int]:
            made.append(into)
            (into / "run.trec").write_bytes(RUN)
            (into / "parts").mkdir()
            (into / "parts" / "ids.json").write_text('["d1", "d2"]')
            return {"lines": 2}

        store = Store(folder / "store")
        change(store.artefact("runs", IDENTITY, make))
        again = store.artefact("runs", IDENTITY, make)
        assert json.loads((again / "parts" / "ids.json").read_text()) == ["d1", "d2"]
        return len(made), (again / "run.trec").read_bytes()

    return act


def rewrite(name: str, edit: Callable[[bytes], bytes]) -> Change:
    def change(folder: Path) -> None:
        (folder / name).write_bytes(edit((folder / name).read_bytes()))

    return change


def flip(place: float) -> Callable[[bytes], bytes]:
    def edit(content: bytes) -> bytes:
        at = min(int(place * len(content)), len(content) - 1)
        return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]

    return edit


def edit_manifest(edit: Callable[[dict], object]) -> Change:
    """Change a manifest's values, and leave its checksum as it was."""

    def change(folder: Path) -> None:
        manifest = json.loads((folder / MANIFEST).read_text())
        edited = edit(manifest)
        text = json.dumps(manifest if edited is None else edited, indent=2)
        (folder / MANIFEST).write_text(text + "\n")

    return change


def replace_by_folder(name: str) -> Change:
    def change(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).mkdir()

    return change


def replace_by_link(name: str, target: str | None) -> Change:
    """A link to a copy of the file, or to nothing."""

    def change(folder: Path) -> None:
        path = folder / name
        if target is None:
            path.rename(folder.parent / "moved")
            path.symlink_to(folder.parent / "moved")
        else:
            path.unlink()
            path.symlink_to(target)

    return change


def touch(folder: Path) -> None:
    for path in folder.rglob("*"):
        os.utime(path, (0, 0))


def swap(folder: Path) -> None:
    """Put another artefact of the same kind in its place, sound as it is."""
    other = Store(folder.parents[1]).artefact("runs", {"x": 1}, write_other)
    shutil.rmtree(folder)
    shutil.copytree(other, folder)


def swap_manifest(folder: Path) -> None:
    other = Store(folder.parents[1]).artefact("runs", {"x": 1}, write_other)
    shutil.copy(other / MANIFEST, folder / MANIFEST)


def write_other(folder: Path) -> dict[str, int]:
    (folder / "run.trec").write_bytes(RUN[:-1] + b" ")
    return {"lines": 2}


def move_away(folder: Path) -> None:
    """Another disk holds it, and a link leads there."""
    folder.rename(folder.parents[2] / "elsewhere")
    folder.symlink_to(folder.parents[2] / "elsewhere")


def become_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_bytes(RUN)


def become_dangling(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.symlink_to("gone")


def leave_partial(folder: Path) -> None:
    """What a killed process left when it made the artefact a second time."""
    shutil.rmtree(folder)
    partial = folder.with_name(f".{folder.name}.partial")
    partial.mkdir()
    (partial / "run.trec").write_bytes(b"half a ru")
    (partial / "parts").write_bytes(b"")


def leave_file_as_partial(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.with_name(f".{folder.name}.partial").write_bytes(b"x")


def leave_damaged(folder: Path) -> None:
    """What was killed while a damaged artefact was removed."""
    (folder / "run.trec").write_bytes(b"")
    away = folder.with_name(f".{folder.name}.damaged.partial")
    (away / "parts").mkdir(parents=True)


def remove_lock(folder: Path) -> None:
    folder.with_name(f".{folder.name}.lock").unlink()


def both(*changes: Change) -> Change:
    def change(folder: Path) -> None:
        for one in changes:
            one(folder)

    return change


DAMAGED_FILES = [
    OddInput(f"artefact: {name} {damage}", ask_twice(rewrite(name, edit)), MADE_AGAIN)
    for name in ("run.trec", "parts/ids.json", MANIFEST)
    for damage, edit in {
        "emptied": lambda _: b"",
        "first byte flipped": flip(0),
        "middle byte flipped": flip(0.5),
        "last byte flipped": flip(1),
        "last byte lost": lambda whole: whole[:-1],
        "second half lost": lambda whole: whole[: len(whole) // 2],
        "filled with zeros": lambda whole: bytes(len(whole)),
        "second half zeros": lambda whole: whole[: len(whole) // 2] + bytes(-(-len(whole) // 2)),
        "one line end more": lambda whole: whole + b"\n",
        "twice": lambda whole: whole + whole,
        "with a byte-order mark": lambda whole: b"\xef\xbb\xbf" + whole,
        "two bytes swapped": lambda whole: whole[1::-1] + whole[2:],
    }.items()
]
MANIFESTS = [
    OddInput(f"artefact: manifest {damage}", ask_twice(edit_manifest(edit)), MADE_AGAIN)
    for damage, edit in {
        "of a version without checksums": lambda manifest: {"identity": manifest["identity"]},
        "without files": lambda manifest: manifest.pop("files") and None,
        "without checksum": lambda manifest: manifest.pop("checksum") and None,
        "without identity": lambda manifest: manifest.pop("identity") and None,
        "null": lambda _: [None][0] or 0,
        "a list": lambda _: [],
        "a text": lambda _: "manifest",
        "empty": lambda _: {"files": {}},
        "one size edited": lambda manifest: manifest["files"]["run.trec"].update(bytes=1),
        "one file left out": lambda manifest: manifest["files"].pop("run.trec") and None,
        "one fact edited": lambda manifest: manifest.update(lines=3),
        "one fact more": lambda manifest: manifest.update(more=1),
    }.items()
]
FOLDERS = [
    OddInput(f"artefact: {name}", ask_twice(change), answer)
    for name, change, answer in (
        ("untouched", lambda _: None, USED),
        ("times changed", touch, USED),
        ("a file more", lambda folder: (folder / "notes.txt").write_text("mine"), USED),
        ("a folder more", lambda folder: (folder / "mine").mkdir(), USED),
        ("file is a link to its content", replace_by_link("run.trec", None), USED),
        ("file is a link to nothing", replace_by_link("run.trec", "gone"), MADE_AGAIN),
        ("file is a link to itself", replace_by_link("run.trec", "run.trec"), MADE_AGAIN),
        ("file is a folder", replace_by_folder("run.trec"), MADE_AGAIN),
        ("file is missing", lambda folder: (folder / "run.trec").unlink(), MADE_AGAIN),
        ("inner folder is missing", lambda folder: shutil.rmtree(folder / "parts"), MADE_AGAIN),
        ("manifest is missing", lambda folder: (folder / MANIFEST).unlink(), MADE_AGAIN),
        ("manifest is a folder", replace_by_folder(MANIFEST), MADE_AGAIN),
        ("manifest is a link to nothing", replace_by_link(MANIFEST, "gone"), MADE_AGAIN),
        ("manifest is another's", swap_manifest, MADE_AGAIN),
        ("another sound artefact in its place", swap, MADE_AGAIN),
        ("folder is gone", shutil.rmtree, MADE_AGAIN),
        ("folder is a file", become_file, MADE_AGAIN),
        ("folder is a link to nothing", become_dangling, MADE_AGAIN),
        ("folder is a link to where it was moved", move_away, USED),
        ("a partial folder of a killed process", leave_partial, MADE_AGAIN),
        ("a file where the partial folder goes", leave_file_as_partial, MADE_AGAIN),
        ("half removed when it was damaged", leave_damaged, MADE_AGAIN),
        ("lock is gone", remove_lock, USED),
        ("lock is gone and a file damaged", both(remove_lock, leave_damaged), MADE_AGAIN),
    )
]


def ask_in(root: Callable[[Path], Path]):
    def act(folder: Path) -> bytes:
        made = Store(root(folder)).artefact("runs", {"x": 1}, write_other)
        return (made / "run.trec").read_bytes()

    return act


def make_file(folder: Path) -> Path:
    (folder / "store").write_text("")
    return folder / "store"


def make_kind_a_file(folder: Path) -> Path:
    (folder / "store").mkdir()
    (folder / "store" / "runs").write_text("")
    return folder / "store"


def make_link(folder: Path) -> Path:
    (folder / "real").mkdir()
    (folder / "store").symlink_to("real")
    return folder / "store"


def make_dangling(folder: Path) -> Path:
    (folder / "store").symlink_to("gone")
    return folder / "store"


STORES = [
    OddInput(f"store: {name}", ask_in(root), answer)
    for name, root, answer in (
        ("absent, and its parents", lambda folder: folder / "a" / "b" / "c", RUN[:-1] + b" "),
        ("a link to a folder", make_link, RUN[:-1] + b" "),
        ("blanks, accents and ideographs", lambda folder: folder / "é 文 store", RUN[:-1] + b" "),
        ("brackets and stars", lambda folder: folder / "[a]*?" / "store", RUN[:-1] + b" "),
        ("a file", make_file, refused("folder must be one that can be written", "store")),
        ("a file in place of a kind", make_kind_a_file, refused("folder must be", "runs")),
        ("a link to nothing", make_dangling, refused("folder must be", "store")),
        ("below a file", lambda folder: make_file(folder) / "x", refused("folder must be", "x")),
    )
]

RECORD = {
    "status": "done",
    "fingerprint": "f",
    **dict.fromkeys(("reranks", "candidates", "base_checkpoint", "collection_name"), "x"),
}


def reuse(change: Change, record: object = None):
    """Whether a finished experiment is still one after a change to its folder."""

    def act(folder: Path) -> bool:
        place = folder / "seed=0"
        place.mkdir()
        (place / "result.json").write_text(json.dumps(RECORD if record is None else record))
        (place / "reranked.trec").write_bytes(RUN)
        (place / "log.jsonl").write_text("{}\n")
        seal_finished(place, {"class": "Experiment"})
        change(place)
        return read_finished(place, "f") is not None

    return act


def reseal(folder: Path) -> None:
    seal_folder(folder, {}, ["result.json"])


FINISHED = [
    OddInput(f"finished folder: {name}", reuse(change), answer)
    for name, change, answer in (
        ("untouched", lambda _: None, True),
        ("config and log written again", rewrite("log.jsonl", lambda _: b""), True),
        ("of a version without manifest", lambda folder: (folder / MANIFEST).unlink(), False),
        ("manifest emptied", rewrite(MANIFEST, lambda _: b""), False),
        ("run emptied", rewrite("reranked.trec", lambda _: b""), False),
        ("run flipped", rewrite("reranked.trec", flip(0.5)), False),
        ("run missing", lambda folder: (folder / "reranked.trec").unlink(), False),
        ("record emptied", rewrite("result.json", lambda _: b""), False),
        ("record cut", rewrite("result.json", lambda whole: whole[:-2]), False),
        ("record missing", lambda folder: (folder / "result.json").unlink(), False),
        ("record a list", rewrite("result.json", lambda _: b"[]"), False),
        ("record null", rewrite("result.json", lambda _: b"null"), False),
        ("record not UTF-8", rewrite("result.json", lambda _: b'{"\xff": 1}'), False),
        ("record of a failure", rewrite("result.json", lambda _: b'{"status": "failed"}'), False),
        ("gone", shutil.rmtree, False),
        ("sealed for its record alone", reseal, True),
    )
] + [
    OddInput(
        "finished folder: of other parts",
        reuse(lambda _: None, {**RECORD, "fingerprint": "g"}),
        False,
    ),
    OddInput(
        "finished folder: a fact is missing", reuse(lambda _: None, {"status": "done"}), False
    ),
]


def go_on(change: Change):
    """Write two chunks, change what lies there, and go on with what is known."""

    def act(folder: Path) -> tuple[int, bytes]:
        first = GrowingFiles(folder / "growing", ["vectors.bin"])
        for number in (1, 2):
            first.append({"vectors.bin": memoryview(bytes([number] * 4))}, {"chunks": number})
        change(folder / "growing")
        second = GrowingFiles(folder / "growing", ["vectors.bin"])
        known = second.facts.get("chunks", 0)
        for number in range(known + 1, 4):
            second.append({"vectors.bin": memoryview(bytes([number] * 4))}, {"chunks": number})
        second.close()
        return known, (folder / "growing" / "vectors.bin").read_bytes()

    return act


GROWN = b"\1\1\1\1\2\2\2\2\3\3\3\3"
GROWING = [
    OddInput(f"interrupted: {name}", go_on(change), (known, GROWN))
    for name, change, known in (
        ("untouched", lambda _: None, 2),
        ("half a chunk behind", rewrite("vectors.bin", lambda whole: whole + b"\3\3"), 2),
        (
            "another whole chunk behind",
            rewrite("vectors.bin", lambda whole: whole + b"9999"),
            2,
        ),
        ("a chunk lost", rewrite("vectors.bin", lambda whole: whole[:4]), 0),
        ("emptied", rewrite("vectors.bin", lambda _: b""), 0),
        ("a byte flipped", rewrite("vectors.bin", flip(0.3)), 0),
        ("its file gone", lambda folder: (folder / "vectors.bin").unlink(), 0),
        ("its record gone", lambda folder: (folder / "written.json").unlink(), 0),
        ("its record emptied", rewrite("written.json", lambda _: b""), 0),
        ("its record cut", rewrite("written.json", lambda whole: whole[:-3]), 0),
        ("its record a list", rewrite("written.json", lambda _: b"[]"), 0),
        ("its record of before checksums", rewrite("written.json", lambda _: b'{"chunks": 2}'), 0),
        ("all gone", shutil.rmtree, 0),
    )
]

ODD_INPUTS = [*DAMAGED_FILES, *MANIFESTS, *FOLDERS, *STORES, *FINISHED, *GROWING]
