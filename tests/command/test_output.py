"""Answers are printed on any output, and an output that takes them not is said, or gone quietly."""

import os
import subprocess
import sys

import pytest


def recross(*words, redirected="", **more):
    command = f'exec "{sys.executable}" -m recross {" ".join(words)} {redirected}'
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **more}
    return subprocess.run(["bash", "-c", command], env=environment, capture_output=True)


def test_a_reader_that_goes_away_ends_the_command_quietly():
    reader, written = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "recross", "--help"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=environment, stdout=written, stderr=subprocess.PIPE)
    os.close(written)
    assert (done.returncode, done.stderr) == (141, b"")


REFUSING = {
    ">/dev/full": b"recross: standard output: no space left on device\n",
    ">&-": b"recross: standard output is closed: the answer cannot be printed\n",
}


@pytest.mark.parametrize("words", ["--help", "table --help"])
@pytest.mark.parametrize("output", REFUSING)
def test_an_output_that_takes_nothing_is_said_once(output, words):
    done = recross(words, redirected=output)
    assert (done.returncode, done.stderr) == (1, REFUSING[output])


@pytest.mark.parametrize("closed", ["2>&-", "2>/dev/full", "<&-", "<&- 2>&-"])
def test_other_streams_may_be_closed(closed):
    done = recross("--help", redirected=closed)
    assert done.returncode == 0
    assert done.stdout.startswith(b"usage: recross")


def test_a_closed_error_output_hides_no_exit_code():
    assert recross("nonsense", redirected="2>&-").returncode == 2
    assert recross("nonsense", redirected="2>&- >&- <&-").returncode == 2


def test_no_file_takes_the_number_of_a_closed_stream(tmp_path):
    script = (
        "from recross.command.output import prepare_streams; prepare_streams();"
        "first = open('a', 'w'); print(first.fileno() > 2, file=open('b', 'w'))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = f'"{sys.executable}" -c "{script}" <&- >&- 2>&-'
    assert subprocess.run(["bash", "-c", command], env=environment, cwd=tmp_path).returncode == 0
    assert (tmp_path / "b").read_text() == "True\n"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_terminal_of_any_encoding_shows_what_it_can(encoding):
    script = (
        "from recross.command import cli\n"
        "cli.PLAIN_COMMANDS['doctor'] = lambda _: cli.say('– ü 文 \\ud83d ▲') or 0\n"
        "raise SystemExit(cli.main(['doctor']))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    environment["PYTHONIOENCODING"] = encoding
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True)
    shown = {
        "ascii": "\\u2013 \\xfc \\u6587 \\ud83d \\u25b2\n",
        "latin-1": "\\u2013 ü \\u6587 \\ud83d \\u25b2\n",
        "utf-8": "– ü 文 \\ud83d ▲\n",
    }[encoding]
    assert (done.returncode, done.stdout, done.stderr) == (0, shown.encode(encoding), b"")


def test_a_machine_without_a_home_or_a_temporary_folder_will_do(tmp_path):
    unset = {"HOME": "", "TMPDIR": str(tmp_path / "missing"), "LANG": "C", "LC_ALL": "C"}
    done = recross("options", "loss", **unset)
    assert done.returncode == 0, done.stderr
