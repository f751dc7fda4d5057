"""A file is as it was before or as it was to be, whatever stops its writer."""

import errno
import json
import os
import resource
import signal
import subprocess
import sys

import pytest
import torch

from recross.inference.cache.score_file import LOCK, LOCK_BYTES, ScoreFile
from recross.report.plots import plot_quality_latency
from recross.report.references import ReferenceValue, write_measured
from recross.report.tables.comparison import write_per_query
from recross.report.tables.rows import make_rows
from recross.report.tables.table import write_table
from recross.runs import Run
from recross.store import write_json
from recross.tracking.tracker import JsonLinesLog, JsonLinesTracker
from recross.training.progress import TrainingFolder
from recross.writing.whole_files import (
    append_whole,
    replace_file,
    reserve_space,
    share_files,
    write_lines_whole,
    write_whole,
)
from tests.limited import list_files, run_limited
from tests.small_study import AFTER, BEFORE, page_of, record, write_study


def modes_of(folder):
    return {path.name: path.stat().st_mode & 0o777 for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("umask, mode", [(0o022, 0o644), (0o027, 0o640), (0o077, 0o600)])
def test_files_that_a_library_wrote_for_its_user_alone_are_shared_as_the_umask_says(
    tmp_path, umask, mode
):
    inner = tmp_path / "checkpoint"
    inner.mkdir()
    (inner / "model.safetensors").touch(mode=0o600)
    (inner / "run.sh").touch(mode=0o700)
    before = os.umask(umask)
    try:
        share_files(tmp_path)
    finally:
        os.umask(before)
    assert modes_of(tmp_path) == {"model.safetensors": mode, "run.sh": mode | 0o700}


def fail_after(number):
    for line in range(number):
        yield f"line {line}\n"
    raise RuntimeError("no more")


def test_what_fails_in_the_middle_changes_nothing_and_leaves_nothing(tmp_path):
    path = tmp_path / "deep" / "a.txt"
    write_whole(path, "before")
    with pytest.raises(RuntimeError, match="no more"):
        write_lines_whole(path, fail_after(3))
    assert path.read_text() == "before"
    assert list_files(tmp_path) == ["deep/a.txt"]


def test_an_interruption_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt), replace_file(tmp_path / "a") as partial:
        partial.write_text("half")
        raise KeyboardInterrupt
    assert list_files(tmp_path) == []


def test_line_ends_are_written_as_they_are(tmp_path):
    write_whole(tmp_path / "a", "a\r\nb\nc\r")
    assert (tmp_path / "a").read_bytes() == b"a\r\nb\nc\r"


def test_the_error_of_a_full_disk_names_the_file_that_was_to_be(tmp_path):
    with pytest.raises(OSError, match="No space left") as raised, replace_file(tmp_path / "a"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert raised.value.filename == str(tmp_path / "a")


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file") as raised:
        write_whole(tmp_path / "file" / "a", "text")
    assert raised.value.errno in (errno.ENOTDIR, errno.EEXIST)


KILLED = """
import os, signal, sys
from pathlib import Path
from recross.writing.whole_files import replace_file

with replace_file(Path("a.json")) as partial:
    partial.write_text("half")
    if sys.argv[1] == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    print("begun", flush=True)
    sys.stdin.read()
"""


def test_the_next_writer_removes_what_a_killed_one_left(tmp_path):
    done = run_limited({}, "-c", KILLED, "die", cwd=tmp_path)
    assert done.returncode == -signal.SIGKILL
    assert len(list_files(tmp_path)) == 1
    write_whole(tmp_path / "b.json", "b")  # of another file: not its own to remove
    assert len(list_files(tmp_path)) == 2
    write_whole(tmp_path / "a.json", "a")
    assert list_files(tmp_path) == ["a.json", "b.json"]


def test_what_a_killed_writer_left_is_removed_with_the_file(tmp_path):
    unfinished = TrainingFolder(tmp_path)
    unfinished.keep_best({"weight": torch.ones(2)})
    abandoned = tmp_path / ".best.pt.00000000.partial"
    abandoned.write_bytes(b"half")
    unfinished.finish({}, [])
    assert list_files(tmp_path) == ["training.json"]


def test_the_next_writer_leaves_alone_what_a_living_one_writes(tmp_path):
    command = [sys.executable, "-c", KILLED, "live"]
    pipe = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, **pipe) as writer:
        assert writer.stdout.readline() == "begun\n"
        write_whole(tmp_path / "a.json", "ours")
        assert len(list_files(tmp_path)) == 2
        writer.communicate("")
    assert writer.returncode == 0
    assert list_files(tmp_path) == ["a.json"]
    assert (tmp_path / "a.json").read_text() == "half"


def test_a_name_that_reads_as_a_pattern_is_a_name(tmp_path):
    other = tmp_path / ".ab.00000000.partial"
    other.write_text("of ab")
    write_whole(tmp_path / "[a]b", "text")
    write_whole(tmp_path / "*b", "text")
    assert other.is_file()


LARGE = (
    "from pathlib import Path; from recross.writing.whole_files import write_whole, append_whole\n"
)


def test_a_file_larger_than_allowed_is_as_before(tmp_path):
    write_whole(tmp_path / "a", "before")
    script = LARGE + "write_whole(Path('a'), 'x' * 100_000)"
    done = run_limited({resource.RLIMIT_FSIZE: 4096}, "-c", script, cwd=tmp_path)
    assert done.stderr.splitlines()[-1] == "OSError: [Errno 27] File too large: 'a'"
    assert (tmp_path / "a").read_text() == "before"
    assert list_files(tmp_path) == ["a"]


def test_a_line_is_added_whole_or_not_at_all(tmp_path):
    append_whole(tmp_path / "log", "one\n")
    script = LARGE + "append_whole(Path('log'), 'x' * 100_000 + '\\n')"
    done = run_limited({resource.RLIMIT_FSIZE: 4096}, "-c", script, cwd=tmp_path)
    assert done.returncode == 1
    append_whole(tmp_path / "log", "two\n")
    assert (tmp_path / "log").read_text() == "one\ntwo\n"


def test_half_a_character_is_kept_in_json(tmp_path):
    write_json(tmp_path / "a.json", {"label": "half \ud83d of a pair, ü 文"})
    assert json.loads((tmp_path / "a.json").read_text())["label"] == "half \ud83d of a pair, ü 文"
    assert "ü 文" in (tmp_path / "a.json").read_text("utf-8")


def write_reference_file(path):
    value = ReferenceValue("s", "l", "measured", "MRR@10", 0.5, 0.1, "some")
    write_measured(path, [value])


ROWS = make_rows([record("quick", AFTER, BEFORE)], {})
WRITERS = {
    "run": lambda folder: Run.from_scores("r", {"q": {"d": 1.0}}).write(folder / "a.trec"),
    "json": lambda folder: write_json(folder / "a.json", {"a": 1}),
    "table": lambda folder: write_table(ROWS, folder),
    "plot": lambda folder: plot_quality_latency(ROWS, folder),
    "page": lambda folder: page_of(folder),
    "per query": lambda folder: write_per_query(folder / "a.csv", {}, [], {}),
    "reference": lambda folder: write_reference_file(folder / "a.csv"),
    "log": lambda folder: JsonLinesTracker().open(folder, "s", "n", {}),
    "line": lambda folder: JsonLinesLog(folder / "log.jsonl").log(1, {"loss": 0.5}),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_every_writer_leaves_no_half_file_where_space_runs_out(writer, tmp_path, monkeypatch):
    write_study(tmp_path)
    before = {path: (tmp_path / path).read_bytes() for path in list_files(tmp_path)}

    def run_out(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", run_out)  # the last that a writer does before the rename
    if writer == "line":
        monkeypatch.setattr(json, "dumps", run_out)
    with pytest.raises(OSError, match="No space left"):
        WRITERS[writer](tmp_path)
    assert {path: (tmp_path / path).read_bytes() for path in list_files(tmp_path)} == before


def test_a_file_that_will_be_mapped_has_its_space(tmp_path):
    path = tmp_path / "mapped"
    with path.open("wb") as file:
        file.truncate(1 << 20)
    assert path.stat().st_blocks == 0
    reserve_space(path)
    assert path.stat().st_size == 1 << 20
    assert path.stat().st_blocks * 512 >= 1 << 20


def test_space_that_is_not_there_is_an_error_that_names_the_file(tmp_path):
    script = "from pathlib import Path; from recross.writing.whole_files import reserve_space\n"
    script += "reserve_space(Path('a'), 100_000)"
    done = run_limited({resource.RLIMIT_FSIZE: 4096}, "-c", script, cwd=tmp_path)
    assert done.stderr.splitlines()[-1] == "OSError: [Errno 27] File too large: 'a'"


def test_the_lock_of_the_score_cache_has_the_size_that_lmdb_gives_it(tmp_path):
    ScoreFile.open(tmp_path, 1 << 20)
    assert (tmp_path / LOCK).stat().st_size == LOCK_BYTES
