"""Many requests at once: bounded, read when they are sent, ended by the first failure."""

import threading

import pytest

from recross.rerankers.remote.asking import ask_all


def test_every_request_is_answered_once_and_no_more_than_said_at_once():
    lock, at_once, most = threading.Lock(), [0], [0]
    two = threading.Barrier(2, timeout=60)

    def ask(request, _stop):
        with lock:
            at_once[0] += 1
            most[0] = max(most[0], at_once[0])
        two.wait()
        with lock:
            at_once[0] -= 1
        return request * 10

    assert sorted(ask_all(range(8), ask, 2)) == [0, 10, 20, 30, 40, 50, 60, 70]
    assert most == [2]


def test_a_request_is_read_when_it_is_sent():
    read = []

    def requests():
        for number in range(6):
            read.append(number)
            yield number

    answers = ask_all(requests(), lambda request, _stop: request, 2)
    next(answers)
    assert len(read) <= 3


def test_a_failure_is_raised_once_those_under_way_are_done_and_nothing_more_is_sent():
    asked, finished = [], []
    failed = threading.Event()

    def ask(request, stop):
        asked.append(request)
        if request == 0:
            failed.set()
            raise ValueError("the first failure")
        failed.wait(60)
        assert stop.wait(60)
        finished.append(request)
        if request == 2:
            raise ValueError("a failure that follows from it")

    with pytest.raises(ValueError, match="the first failure"):
        list(ask_all(range(100), ask, 3))
    assert sorted(asked) == [0, 1, 2]
    assert sorted(finished) == [1, 2]
