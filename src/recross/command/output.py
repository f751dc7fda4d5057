"""Where a command prints its answer, and what it does where that place is closed or full."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

from recross.writing.progress import end_live_line


class ClosedOutputError(Exception):
    """The answer could not be printed: the reader of a pipe has gone, or the output is no use.

    ``reason`` is empty where the reader went away, who needs no word about it.
    """

    def __init__(self, reason: str, exit_code: int) -> None:
        super().__init__(reason)
        self.reason, self.exit_code = reason, exit_code


def prepare_streams() -> None:
    """Print whatever a text holds, on a terminal of any encoding, and on none.

    A closed descriptor is opened on nothing: a file that took its number would be written into by
    whatever prints there.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
    if sys.stderr is None:
        sys.stderr = io.StringIO()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


@contextmanager
def deliver_output() -> Iterator[None]:
    """Within, what is printed arrives, or ``ClosedOutputError`` is raised, if only at the end."""
    printed = sys.stdout
    sys.stdout = _Closed() if printed is None else _Answer(printed)
    try:
        yield
        sys.stdout.flush()
    finally:
        sys.stdout = printed


class _Answer(io.TextIOBase):
    """Standard output, whose refusals are told from those of files."""

    def __init__(self, printed: TextIO) -> None:
        self._printed = printed

    @property
    def encoding(self) -> str:  # type: ignore[override]  # which is read-only there, too
        return self._printed.encoding

    def write(self, text: str) -> int:
        end_live_line()
        with self._telling():
            return self._printed.write(text)
        raise AssertionError("it is written or an error is raised")

    def flush(self) -> None:
        with self._telling():
            self._printed.flush()

    def isatty(self) -> bool:
        return self._printed.isatty()

    def fileno(self) -> int:
        return self._printed.fileno()

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            _print_to_nothing(self._printed)
            if isinstance(error, BrokenPipeError):
                raise ClosedOutputError("", 128 + signal.SIGPIPE) from error
            reason = f"standard output: {error.strerror or error}".lower()
            raise ClosedOutputError(reason, 1) from error


class _Closed(io.TextIOBase):
    """In place of a standard output that was closed before the command began."""

    def write(self, text: str) -> int:
        raise ClosedOutputError("standard output is closed: the answer cannot be printed", 1)


def _print_to_nothing(printed: TextIO) -> None:
    """What is left in a buffer goes nowhere, so that Python does not complain at its end."""
    with suppress(OSError, ValueError):
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, printed.fileno())
        os.close(nothing)
