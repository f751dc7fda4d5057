"""What stops a command is one line in our words, and an exit code that says of what kind it is."""

import errno
import os
import resource

import numpy as np
import pytest

from recross.collections.files import write_beir
from recross.command import cli
from recross.command.cli import main
from recross.command.failures import DEBUG, describe_fault, explain
from recross.errors import InputError, RunError
from recross.experiment.place import Place
from recross.experiment.retrieval_command import Retrieval
from tests.conftest import toy_collection
from tests.limited import run_limited


def errors(caplog):
    return [record.message for record in caplog.records if record.levelname == "ERROR"]


LACKS = {
    errno.ENOSPC: ("no space left on device", "free space there"),
    errno.EDQUOT: ("disk quota exceeded", "within your quota"),
    errno.EFBIG: ("file too large", "ulimit -f"),
    errno.EMFILE: ("too many open files", "ulimit -n"),
    errno.ENFILE: ("too many open files in system", "run the same command again"),
    errno.ENOMEM: ("cannot allocate memory", "smaller batches"),
    errno.EROFS: ("read-only file system", "output=FOLDER"),
    errno.EIO: ("input/output error", "may be damaged"),
    errno.EACCES: ("permission denied", "output=FOLDER"),
    errno.EPERM: ("operation not permitted", "output=FOLDER"),
    errno.ENAMETOOLONG: ("file name too long", "shorter names"),
    errno.ENOTDIR: ("not a directory", ""),
    errno.ENOENT: ("no such file or directory", ""),
}


@pytest.mark.parametrize("code", LACKS, ids=errno.errorcode.get)
def test_an_error_of_the_system_names_the_file_and_what_helps(code):
    known = explain(OSError(code, os.strerror(code), "out/a.trec"))
    assert type(known) is RunError
    reason, way_out = LACKS[code]
    assert str(known).startswith(f"out/a.trec: {reason}")
    assert way_out in str(known)


class TerminatedWorkerError(RuntimeError):
    pass


LIBRARIES = {
    "safetensors": RuntimeError("Error while serializing: I/O error: ... (os error 28)"),
    "lmdb": RuntimeError("mdb_txn_commit: No space left on device"),
    "torch": RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
    "cuda": RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB"),
    "python": MemoryError(),
    "joblib": TerminatedWorkerError("A worker process was unexpectedly terminated {SIGKILL(-9)}"),
    "transformers": OSError("We couldn't connect to 'https://huggingface.co' to load the files"),
}


@pytest.mark.parametrize("library", LIBRARIES)
def test_what_libraries_say_of_the_machine_is_understood(library):
    assert type(explain(LIBRARIES[library])) is RunError
    assert "\n" not in str(explain(LIBRARIES[library]))


def test_arrays_that_no_memory_holds_are_memory_that_ran_out():
    with pytest.raises(MemoryError) as raised:
        np.ones(1 << 50)
    assert "Unable to allocate 8.00 PiB" in str(explain(raised.value))


def test_the_cause_behind_an_error_of_a_library_counts():
    error = RuntimeError("writing failed")
    error.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    assert "free space" in str(explain(error))


def test_a_fault_while_a_missing_file_is_handled_is_a_fault():
    error = KeyError("a")
    error.__context__ = FileNotFoundError(errno.ENOENT, "No such file or directory", "x")
    assert explain(error) is None


def test_our_own_errors_are_as_they_are():
    wrong, stopped = InputError("depth must be at least 1"), RunError("the server is gone")
    assert explain(wrong) is wrong
    assert explain(stopped) is stopped


STOPS = {
    "input": (InputError("depth must be at least 1, got 0"), 2),
    "run": (RunError("the server is gone"), 1),
    "disk": (OSError(errno.ENOSPC, "No space left on device", "a.trec"), 1),
    "memory": (MemoryError(), 1),
    "interruption": (KeyboardInterrupt(), 130),
    "fault": (TypeError("'NoneType' object is not iterable"), 70),
    "recursion": (RecursionError("maximum recursion depth exceeded"), 70),
}


@pytest.mark.parametrize("stop", STOPS)
def test_every_stop_is_one_line_and_its_exit_code(stop, monkeypatch, caplog, tmp_path):
    error, code = STOPS[stop]
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setitem(cli.PLAIN_COMMANDS, "doctor", lambda _: raise_(error))
    assert main(["doctor"]) == code
    (line,) = errors(caplog)
    assert line.startswith("recross: ")
    assert "\n" not in line


def raise_(error):
    raise error


def test_a_fault_says_where_its_traceback_lies(monkeypatch, caplog, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setitem(cli.PLAIN_COMMANDS, "doctor", lambda _: raise_(TypeError("of ours")))
    assert main(["doctor"]) == 70
    (kept,) = tmp_path.iterdir()
    assert "raise error\nTypeError: of ours" in kept.read_text()
    assert (
        f"a fault of recross itself, TypeError: of ours; its traceback is in {kept}"
        in (errors(caplog)[0])
    )


def test_a_fault_without_a_place_for_its_traceback_says_how_to_see_it(monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", "/nowhere")
    assert "RECROSS_DEBUG=1 shows its traceback" in str(describe_fault(TypeError("of ours")))


@pytest.mark.parametrize("way", ["flag", "environment", "neither"])
def test_tracebacks_are_shown_where_they_are_asked_for(way, monkeypatch, capsys):
    monkeypatch.setitem(
        cli.PLAIN_COMMANDS, "doctor", lambda _: raise_(RunError("the server is gone"))
    )
    monkeypatch.delenv(DEBUG, raising=False)
    if way == "environment":
        monkeypatch.setenv(DEBUG, "1")
    before = os.environ.get(DEBUG)
    assert main(["doctor", *["--debug"] * (way == "flag")]) == 1
    shown = "Traceback (most recent call last)" in capsys.readouterr().err
    assert shown == (way != "neither")
    assert os.environ.get(DEBUG) == before


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_beir(tmp_path / "toy", toy_collection())
    return tmp_path


WORDS = ["collection=files", "collection.folder=toy", "retriever=bm25", "output=out"]


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(("stop", "code"), [("disk", 1), ("memory", 1), ("fault", 70)])
def test_what_stops_a_run_is_said_once_and_not_by_hydra(
    stop, code, monkeypatch, caplog, capfd, tmp_path
):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(Retrieval, "make", lambda _: raise_(STOPS[stop][0]))
    assert main(["retrieve", *WORDS]) == code
    assert len(errors(caplog)) == 1
    assert "Error executing job" not in capfd.readouterr().err
    assert "HYDRA_FULL_ERROR" not in os.environ


def test_a_fault_in_one_cell_is_told_and_the_others_go_on(here, monkeypatch, caplog):
    monkeypatch.setattr("tempfile.tempdir", str(here))
    made = Retrieval.make

    def make(command):
        return raise_(TypeError("of ours")) if command.depth == 2 else made(command)

    monkeypatch.setattr(Retrieval, "make", make)
    assert main(["retrieve", "-m", *WORDS, "depth=2,3", "run_file=of_${depth}.trec"]) == 1
    (line,) = errors(caplog)
    assert "out/of_2.trec failed: FaultError: a fault of recross itself, TypeError: of our" in line
    assert (here / "out" / "of_3.trec").is_file()


@pytest.mark.parametrize("in_place_of_the_result", [True, False])
def test_a_failure_that_no_space_is_left_to_record_is_a_failure(
    in_place_of_the_result, tmp_path, monkeypatch
):
    result = tmp_path / "result.json"
    result.write_text('{"status": "done"}')
    failure = result if in_place_of_the_result else tmp_path / "failed.json"
    place = Place(result, tmp_path / "config.yaml", failure, tmp_path / ".lock")
    assert place.find_failure() is None

    def run_out(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", run_out)
    place.record_failure({}, RunError("full"))
    assert place.find_failure() is not None
    place.forget_failure()
    assert in_place_of_the_result or place.find_failure() is None


def test_an_argument_that_is_no_text_is_refused(caplog):
    assert main(["table", "folder\udcff"]) == 2
    assert errors(caplog) == ["recross: arguments must be text in UTF-8, got 'folder\\udcff'"]


def test_a_working_directory_that_is_gone_is_said(tmp_path, monkeypatch, caplog):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert main(["options"]) == 1
    assert errors(caplog) == ["recross: the working directory must exist, and was deleted"]


LIMITS = {
    "files of 4 kB": ({resource.RLIMIT_FSIZE: 4096}, "file too large; raise the limit of the file"),
    "few open files": ({resource.RLIMIT_NOFILE: 8}, "too many open files"),
}


@pytest.mark.parametrize("limit", LIMITS)
def test_a_limit_of_the_machine_is_one_line(limit, here):
    limits, said = LIMITS[limit]
    words = ["-m", "recross", "retrieve", *WORDS]
    done = run_limited(limits, *words, cwd=here)
    assert done.returncode == 1
    assert said in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert not list(here.rglob("*.trec"))
    assert run_limited({}, *words, cwd=here).returncode == 0  # goes on once it has what it needs
    assert not list(here.rglob("*.partial"))
