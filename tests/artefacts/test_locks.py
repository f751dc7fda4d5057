"""One holds a lock at a time; who waits says for whom; who is killed stops nobody."""

import errno
import fcntl
import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time

import pytest

from recross.artefacts.claims import read_claim
from recross.artefacts.locks import hold_alone, is_held, try_alone
from recross.errors import InputError

HOLD = """
import sys, time
from pathlib import Path
from recross.artefacts.locks import hold_alone
with hold_alone(Path(sys.argv[1]), "work"):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture(autouse=True, params=["flock", "files"])
def kind(request, monkeypatch):
    """Locks of the system, and locks of plain files."""
    monkeypatch.setenv("RECROSS_LOCKS", request.param)
    return request.param


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock until it is killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "lock")],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_the_lock_of_a_killed_process_is_taken_over_at_once_by_one_that_said_whom_it_awaits(
    tmp_path, holder, caplog
):
    caplog.set_level(logging.INFO)
    timer = threading.Timer(0.3, holder.send_signal, [signal.SIGKILL])
    timer.start()
    began = time.monotonic()
    with hold_alone(tmp_path / "lock", "runs/0123"):
        waited = time.monotonic() - began
    assert re.search(rf"waiting for process {holder.pid}( on \S+)?: runs/0123", caplog.text)
    assert holder.wait() == -signal.SIGKILL
    assert 0.2 < waited < 60  # not the ten minutes that the holder meant to sleep


def test_a_thread_may_take_its_own_lock_again_and_another_one_waits(tmp_path):
    order = []

    def other():
        with hold_alone(tmp_path / "lock", "x"):
            order.append("other")

    with hold_alone(tmp_path / "lock", "x"):
        with hold_alone(tmp_path / "lock", "x"):
            thread = threading.Thread(target=other)
            thread.start()
            time.sleep(0.05)
        order.append("first")
    thread.join()
    assert order == ["first", "other"]


FORK = """
import os, signal, sys
from pathlib import Path
from recross.artefacts.locks import hold_alone
with hold_alone(Path(sys.argv[1]), "work"):
    if child := os.fork():
        os.kill(os.getpid(), signal.SIGKILL)
    else:
        os.read(0, 1)  # lives on until its input ends
"""


def test_a_child_that_outlives_its_killed_parent_does_not_keep_its_lock(tmp_path):
    words = [sys.executable, "-c", FORK, str(tmp_path / "lock")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(words, stdin=subprocess.PIPE, env=environment) as parent:
        assert parent.wait() == -signal.SIGKILL
        began = time.monotonic()
        with hold_alone(tmp_path / "lock", "x"):
            assert is_held(tmp_path / "lock")
    assert time.monotonic() - began < 30
    assert not is_held(tmp_path / "lock")


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK])
def test_a_file_system_without_locks_gets_locks_of_plain_files(tmp_path, monkeypatch, number):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setenv("RECROSS_LOCKS", "auto")
    monkeypatch.setattr(fcntl, "flock", refuse)
    with hold_alone(tmp_path / "lock", "x"):
        assert read_claim(tmp_path / "lock").process.startswith(f"{os.getpid()} on ")
    assert read_claim(tmp_path / "lock") is None


WORK = """
import errno, fcntl, sys
from pathlib import Path
from recross.artefacts.locks import hold_alone
def refuse(*_):
    raise OSError(errno.ENOLCK, "none here")
fcntl.flock = refuse
counter = Path(sys.argv[1]) / "counter"
for _ in range(40):
    with hold_alone(Path(sys.argv[1]) / "lock", "x"):
        counter.write_text(str(int(counter.read_text()) + 1))
"""


def test_two_processes_without_locks_of_the_system_never_work_at_once(tmp_path):
    (tmp_path / "counter").write_text("0")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "RECROSS_LOCKS": "auto"}
    words = [sys.executable, "-c", WORK, str(tmp_path)]
    workers = [subprocess.Popen(words, env=environment) for _ in range(2)]
    assert [worker.wait(timeout=120) for worker in workers] == [0, 0]
    assert (tmp_path / "counter").read_text() == "80"


def test_what_another_holds_is_not_taken_without_waiting(tmp_path, holder):
    assert is_held(tmp_path / "lock")
    with try_alone(tmp_path / "lock") as is_alone:
        assert not is_alone
    holder.kill()
    holder.wait()
    assert not is_held(tmp_path / "lock")
    with try_alone(tmp_path / "lock") as is_alone:
        assert is_alone
    assert not is_held(tmp_path / "missing")


def test_a_folder_that_cannot_be_is_refused(tmp_path):
    (tmp_path / "file").touch()
    lock = hold_alone(tmp_path / "file" / "lock", "x")
    with pytest.raises(InputError, match="folder must be one that can be written, got"), lock:
        raise AssertionError("held")


def test_a_lock_that_was_removed_while_others_waited_is_none(tmp_path):
    order = []

    def other(name):
        with hold_alone(tmp_path / "lock", "x"):
            order.append(f"{name} begins")
            time.sleep(0.02)
            order.append(f"{name} ends")

    with hold_alone(tmp_path / "lock", "x"):
        waiting = threading.Thread(target=other, args=("waiting",))
        waiting.start()
        time.sleep(0.05)
        (tmp_path / "lock").unlink()
    late = threading.Thread(target=other, args=("late",))
    late.start()
    waiting.join()
    late.join()
    assert order in (
        ["waiting begins", "waiting ends", "late begins", "late ends"],
        ["late begins", "late ends", "waiting begins", "waiting ends"],
    )
