"""Work that is opened by many processes is said once."""

import logging
from dataclasses import dataclass

import pytest

from recross.machine.hardware import Hardware
from recross.sharing.work import open_quietly


@dataclass(frozen=True)
class Task:
    """Warns of something, and opens nothing."""

    hardware: Hardware = Hardware()
    error: type[Exception] | None = None

    def open(self):
        logging.getLogger("recross").warning("a document is empty")
        if self.error is not None:
            raise self.error
        return "work"

    def without_pieces(self):
        return self


def test_what_loading_warns_of_is_not_repeated_and_later_warnings_are_heard(caplog):
    assert open_quietly(Task()) == "work"
    assert not caplog.messages
    logging.getLogger("recross").warning("later")
    assert caplog.messages == ["later"]


def test_an_error_of_loading_is_raised_and_later_warnings_are_heard(caplog):
    with pytest.raises(KeyError):
        open_quietly(Task(error=KeyError))
    logging.getLogger("recross").warning("later")
    assert caplog.messages == ["later"]
