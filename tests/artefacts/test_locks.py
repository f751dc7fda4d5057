"""One holds a lock at a time; who waits says for whom; who is killed stops nobody."""

import errno
import fcntl
import logging
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from recross.artefacts.locks import hold_alone
from recross.errors import InputError

HOLD = """
import sys, time
from pathlib import Path
from recross.artefacts.locks import hold_alone
with hold_alone(Path(sys.argv[1]), "work"):
    print("held", flush=True)
    time.sleep(600)
"""


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
    assert f"waiting for process {holder.pid}: runs/0123" in caplog.text
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
        with hold_alone(tmp_path / "lock", "x"):
            owner = (tmp_path / "lock").read_text()
    assert owner == str(os.getpid())


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK])
def test_a_file_system_without_locks_is_refused_in_one_clear_error(tmp_path, monkeypatch, number):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    lock = hold_alone(tmp_path / "lock", "x")
    with pytest.raises(InputError, match="file system that has locks.*got") as raised, lock:
        raise AssertionError("held")
    assert str(tmp_path) in str(raised.value)


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
