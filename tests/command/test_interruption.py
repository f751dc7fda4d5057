"""Signals end a command with one line and the exit code that a shell gives them."""

import os
import signal
import subprocess
import sys

import pytest

COMMAND = """
import signal, sys, time
from recross.command import cli

if "ignored" in sys.argv:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def work(words):
    try:
        print("begun", flush=True)
        time.sleep(0.5 if "ignored" in sys.argv else 60)
    finally:
        if "lingers" in sys.argv:
            print("lingers", flush=True)
            time.sleep(60)
    return 0


cli.PLAIN_COMMANDS["doctor"] = work
sys.exit(cli.main(["doctor"]))
"""


def start(*words):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen([sys.executable, "-c", COMMAND, *words], env=environment, **pipes)
    assert process.stdout.readline() == "begun\n"
    return process


SAID = {
    signal.SIGINT: (130, "recross: interrupted; run the same command again to go on\n"),
    signal.SIGTERM: (143, "recross: terminated; run the same command again to go on\n"),
    signal.SIGHUP: (129, "recross: ended with its terminal; run the same command again to go on\n"),
}


@pytest.mark.parametrize("number", SAID)
def test_a_signal_is_one_line_and_its_exit_code(number):
    process = start()
    process.send_signal(number)
    _, said = process.communicate()
    assert (process.returncode, said) == SAID[number]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_what_lingers(number):
    process = start("lingers")
    process.send_signal(number)
    assert process.stdout.readline() == "lingers\n"
    process.send_signal(number)
    process.communicate()
    assert process.returncode == -number


def test_a_signal_that_is_ignored_from_the_start_stays_ignored():
    process = start("ignored")
    process.send_signal(signal.SIGHUP)
    assert process.communicate() == ("", "")
    assert process.returncode == 0
