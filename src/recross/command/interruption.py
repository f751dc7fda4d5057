"""Signals that end a command: it says so in one line, and nothing half-written is left."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SAID = {
    signal.SIGINT: "interrupted",
    signal.SIGTERM: "terminated",
    signal.SIGHUP: "ended with its terminal",
}


class Interrupted(KeyboardInterrupt):
    """A signal asked the command to end."""

    def __init__(self, number: int) -> None:
        super().__init__(f"{_SAID[signal.Signals(number)]}; run the same command again to go on")
        self.exit_code = 128 + number
        """What a shell reports of a process that the signal ended."""


@contextmanager
def turn_signals_into_interruptions() -> Iterator[None]:
    """Within, SIGINT, SIGTERM and SIGHUP raise ``Interrupted``; a second one ends at once.

    A signal that the caller ignores or handles, as ``nohup`` does, is left to the caller.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ours = [number for number in _SAID if signal.getsignal(number) in _DEFAULTS]
    before = {number: signal.signal(number, _interrupt) for number in ours}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(number: int, _: FrameType | None) -> None:
    signal.signal(number, signal.SIG_DFL)
    raise Interrupted(number)


_DEFAULTS = (signal.SIG_DFL, signal.default_int_handler)
