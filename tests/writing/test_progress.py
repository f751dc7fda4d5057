"""Long work says what it does: on a terminal as one live line, elsewhere as a line at times."""

import logging
import os
import pty
import subprocess
import sys
import time

import pytest

from recross.writing import progress as module
from recross.writing.live_line import is_watched
from recross.writing.progress import (
    Bar,
    Stages,
    end_live_line,
    format_duration,
    name_work,
    progress,
    working,
)


@pytest.fixture
def impatient(monkeypatch, caplog):
    """Lines come a hundred times as often; and are kept."""
    monkeypatch.delenv(module.PROGRESS)
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.02)
    monkeypatch.setattr(module, "SECONDS_BETWEEN_LINES", 0.1)
    monkeypatch.setattr(module, "is_watched", lambda: False)
    caplog.set_level(logging.INFO, "recross")


def wait_for(said, text):
    deadline = time.monotonic() + 60
    while not any(text in line for line in list(said())):
        assert time.monotonic() < deadline, said()
        time.sleep(0.01)


@pytest.mark.usefixtures("impatient")
def test_work_that_counts_nothing_says_what_it_is_and_how_long_it_takes(caplog):
    with working("building the collection"):
        wait_for(lambda: caplog.messages, "building the collection: 0:0")
    assert "so far" in caplog.text


@pytest.mark.usefixtures("impatient")
def test_what_comes_after_work_within_is_not_called_what_came_before(caplog):
    with working("recross run, composing", then="recross run"):
        wait_for(lambda: caplog.messages, "recross run, composing: ")
        with working("loading"):
            wait_for(lambda: caplog.messages, "loading: ")
        wait_for(lambda: caplog.messages, "recross run: ")
    assert [said.partition(":")[0] for said in caplog.messages][-1] == "recross run"


def test_short_work_says_nothing(caplog):
    caplog.set_level(logging.INFO, "recross")
    with working("short"), progress(10, "scoring", "pair") as bar:
        bar.update(10)
    assert caplog.messages == []


@pytest.mark.usefixtures("impatient")
def test_a_line_comes_again_and_again_and_names_the_innermost_work(caplog):
    with Stages(["collection", "re-ranking"]) as stages:
        stages.begin("re-ranking", "5 queries")
        with progress(50, "minilm", "pair") as bar:
            bar.update(20)
            wait_for(lambda: caplog.messages, "minilm: 20 of 50 pairs")
            bar.update(10)
            wait_for(lambda: caplog.messages, "minilm: 30 of 50 pairs")
    assert caplog.messages[0] == "stage 2 of 2: re-ranking, 5 queries"
    assert caplog.messages[1].startswith("stage 2 of 2, re-ranking, minilm: 20 of 50 pairs")


@pytest.mark.usefixtures("impatient")
def test_lines_that_go_where_answers_go_end_nothing(caplog):
    class Answers(logging.Handler):
        def emit(self, record):
            module.end_live_line()

    answers = Answers()
    logging.getLogger("recross").addHandler(answers)
    try:
        with progress(50, "minilm", "pair") as bar:
            bar.update(20)
            wait_for(lambda: caplog.messages, "20 of 50 pairs")
            bar.update(10)
            wait_for(lambda: caplog.messages, "30 of 50 pairs")
    finally:
        logging.getLogger("recross").removeHandler(answers)


def test_a_stage_that_is_not_listed_is_part_of_the_one_before(caplog):
    caplog.set_level(logging.INFO, "recross")
    with Stages(["collection", "results"]) as stages:
        for name in ("collection", "training", "results"):
            stages.begin(name)
    assert caplog.messages == ["stage 1 of 2: collection", "stage 2 of 2: results"]


def test_estimates_leave_out_what_was_done_before():
    bar = Bar("encoding", total=1_000, unit="document", done=400, note="loss 0.5000")
    bar.update(150)
    now = bar.began + 3
    assert bar.counts == "550 of 1,000 documents"
    assert bar.tell_time(now) == "0:03 so far, 0:09 left, 50 documents/s, loss 0.5000"


def test_slow_work_has_a_rate_below_one():
    bar = Bar("training", total=10, unit="step", done=0)
    bar.update(1)
    assert bar.tell_time(bar.began + 4) == "0:04 so far, 0:36 left, 0.25 steps/s"


@pytest.mark.parametrize(
    "seconds, told", [(0, "0:00"), (64.6, "1:05"), (3599.6, "1:00:00"), (3725, "1:02:05")]
)
def test_durations_are_minutes_and_seconds(seconds, told):
    assert format_duration(seconds) == told


def test_work_is_named_by_its_stage_and_its_innermost_part():
    command, stage, part = Bar("recross run"), Bar("training", place="stage 2 of 5"), Bar("mining")
    assert name_work([command]) == "recross run"
    assert name_work([command, stage]) == "stage 2 of 5, training"
    assert name_work([command, stage, Bar("fit"), part]) == "stage 2 of 5, training, mining"


def test_work_within_other_work_is_named_with_its_place(monkeypatch, caplog):
    caplog.set_level(logging.INFO, "recross")
    monkeypatch.setenv(module.PART_OF, "cell 2 of 9")
    stage = Bar("training", place="stage 2 of 5")
    assert name_work([stage, Bar("mining")]) == "cell 2 of 9, stage 2 of 5, training, mining"
    with Stages(["one", "two"]) as stages:
        stages.begin("two")
    assert caplog.messages == ["cell 2 of 9, stage 2 of 2: two"]


@pytest.mark.usefixtures("impatient")
def test_progress_that_is_off_says_nothing(monkeypatch, caplog):
    monkeypatch.setenv(module.PROGRESS, "off")
    with working("measuring"):
        assert module._reporter._thread is None
        time.sleep(0.1)
    assert caplog.messages == []


@pytest.mark.usefixtures("impatient")
def test_no_thread_is_left_where_no_work_goes_on():
    with working("something"):
        assert module._reporter._thread.is_alive()
    assert module._reporter._thread is None


@pytest.mark.usefixtures("impatient")
def test_what_is_printed_ends_what_is_said_of_the_work(caplog):
    with working("measuring"):
        end_live_line()
        assert not module._reporter._thread.is_alive()
        with working("more"):
            time.sleep(0.2)
    assert caplog.messages == []
    with working("the next work"):
        wait_for(lambda: caplog.messages, "the next work")


SCRIPT = """
import logging, sys, time
from recross.command.messages import send_messages_to_stderr
from recross.writing import progress
send_messages_to_stderr()
progress.PATIENCE_SECONDS = 0.1
with progress.Stages(["one", "two"]) as stages:
    stages.begin("two")
    with progress.progress(8, "scoring", "pair") as bar:
        for number in range(8):
            time.sleep(0.25)
            bar.update()
            if number == 4:
                logging.getLogger("recross.some").info("something that is said")
print("the answer")
"""


def test_on_a_terminal_one_live_line_is_drawn_and_nothing_of_it_is_left():
    seen, terminal = pty.openpty()
    command = [sys.executable, "-c", SCRIPT]
    terminals = {"TERM": "xterm", "COLUMNS": "120", module.PROGRESS: "live"}
    environment = os.environ | terminals | {"PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        command, stdout=terminal, stderr=terminal, stdin=terminal, env=environment
    )
    os.close(terminal)
    shown = b""
    while True:
        try:
            read = os.read(seen, 4096)
        except OSError:  # the other end is closed
            break
        if not read:
            break
        shown += read
    assert process.wait() == 0
    os.close(seen)
    text = shown.decode()
    assert "stage 2 of 2, two, scoring" in text
    assert "pairs/s" in text
    assert "something that is said\r\n" in text
    assert text.endswith("the answer\r\n")
    assert "\x1b[2K" in text.rpartition("stage 2 of 2, two")[2]  # the line is cleared at last
    assert "\x1b[?25h" in text  # and there is a cursor again


def test_a_file_is_not_watched():
    assert not is_watched()


def test_the_first_hundredth_is_no_ground_for_an_estimate():
    bar = Bar("re-ranking", 5_400, "pair")
    bar.update(1)
    assert bar.tell_time(bar.began + 8) == "0:08 so far"
    bar.update(53)
    assert bar.tell_time(bar.began + 8) == "0:08 so far, 13:12 left, 6.8 pairs/s"
