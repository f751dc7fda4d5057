"""What long work says while it goes on: one live line on a terminal, elsewhere a line at times."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol, Self

from recross.writing.live_line import LiveLine, is_watched

logger = logging.getLogger(__name__)

PATIENCE_SECONDS = 2.0
"""Work that takes longer says what it is."""
SECONDS_BETWEEN_LINES = 10.0
PROGRESS = "RECROSS_PROGRESS"
"""Environment variable: ``off`` says nothing of work that goes on."""
PART_OF = "RECROSS_PART_OF"
"""Environment variable: which part of other work a process does, such as ``cell 2 of 9``."""


@dataclass(eq=False)
class Bar:
    """Work that goes on within ``with``, and how much of it is done: ``bar.update(3)``.

    ``place`` says which part of other work it is, ``note`` stands behind its counts. While work
    that is ``still`` goes on, a live line is drawn seldom: it takes time from what is measured.
    """

    name: str
    total: int | None = None
    unit: str = ""
    done: int = 0
    place: str = ""
    note: str = ""
    still: bool = False
    is_shown: bool = True
    is_said: bool = False
    then: str = ""
    began: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self._before = self.done

    def update(self, count: int = 1) -> None:
        """Count what was done."""
        self.done += count

    @property
    def counts(self) -> str:
        """How much is done, and of how much."""
        return f"{self.done:,} of {self.total:,} {self.unit}s" if self.total else ""

    def tell_time(self, now: float) -> str:
        """How long it has taken, how long it may still take, and how fast it is.

        The first hundredth, which begins with what is loaded, tells nothing of the rest.
        """
        elapsed, fresh = now - self.began, self.done - self._before
        parts = [f"{format_duration(elapsed)} so far"]
        if self.total and elapsed > 0 and fresh > 0 and fresh * 100 >= self.total - self._before:
            rate = fresh / elapsed
            left = max(self.total - self.done, 0) / rate
            speed = f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"
            parts += [f"{format_duration(left)} left", f"{speed} {self.unit}s/s"]
        return ", ".join([*parts, self.note] if self.note else parts)

    def __enter__(self) -> Self:
        if self.is_shown:
            _reporter.begin(self)
        return self

    def __exit__(self, *_: object) -> None:
        if self.is_shown:
            _reporter.end(self)


def progress(
    total: int, description: str, unit: str, done: int = 0, shown: bool | None = None
) -> Bar:
    """Work that counts up to ``total``, from what was ``done`` before.

    ``shown=None`` shows it where there is more than one thing to count.
    """
    wanted = total > 1 if shown is None else shown
    return Bar(description, total, unit, done, is_shown=wanted)


def working(name: str, then: str = "") -> Bar:
    """Work in which nothing is counted; ``then`` names it once work within it has begun."""
    return Bar(name, then=then)


def end_live_line() -> None:
    """Say no more of the work that goes on: what it was for is about to be printed."""
    _reporter.hush()


class Stages:
    """The stages of some work, in their order: each is said, with its number, as it begins."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names, self._bar = list(names), Bar("", is_shown=False)

    def begin(self, name: str, detail: str = "", still: bool = False) -> None:
        """End the stage before, and begin this one; one that is not listed is part of the last."""
        if name not in self._names:
            return
        self._bar.__exit__()
        place = f"stage {self._names.index(name) + 1} of {len(self._names)}"
        within = ", ".join([*_name_surroundings(), place])
        logger.info("%s: %s", within, f"{name}, {detail}" if detail else name)
        self._bar = Bar(name, place=place, still=still, is_said=True)
        self._bar.__enter__()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.__exit__()


def format_duration(seconds: float) -> str:
    """Minutes and seconds, ``1:05``, from an hour on ``1:00:05``."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def name_work(bars: Sequence[Bar]) -> str:
    """What is going on, from the outermost to the innermost: cell, stage, and what it is at."""
    placed = [bar for bar in bars if bar.place][-1:]
    inner = [bar.name for bar in bars[-1:] if bar not in placed]
    stage = [f"{bar.place}, {bar.name}" for bar in placed]
    return ", ".join([*_name_surroundings(), *stage, *inner])


def _name_surroundings() -> list[str]:
    return [place for place in [os.environ.get(PART_OF)] if place]


class _Display(Protocol):
    def show(self, bars: Sequence[Bar], now: float) -> float:
        """Show what goes on; return after how many seconds it is to be shown again."""

    def close(self) -> None: ...


class _Lines:
    """A line once work takes long, and then every ten seconds."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def show(self, bars: Sequence[Bar], now: float) -> float:
        bar = bars[-1]
        is_new = not bar.is_said and now - bar.began >= PATIENCE_SECONDS
        if is_new or now - self._last >= SECONDS_BETWEEN_LINES:
            told = [bar.counts, bar.tell_time(now)]
            logger.info("%s: %s", name_work(bars), ", ".join(filter(None, told)))
            self._last, bar.is_said = now, True
        return min(PATIENCE_SECONDS / 2, SECONDS_BETWEEN_LINES)

    def close(self) -> None:
        """There is nothing to remove."""


class _Live:
    """One line that is drawn anew several times a second."""

    def __init__(self) -> None:
        self._line = LiveLine()

    def show(self, bars: Sequence[Bar], now: float) -> float:
        bar = bars[-1]
        share = bar.done / bar.total if bar.total else None
        self._line.draw(name_work(bars), share, bar.counts, bar.tell_time(now))
        return 2.0 if bar.still else 0.25

    def close(self) -> None:
        self._line.close()


class _Reporter:
    """Shows the work of this process, from a thread that lives as long as any goes on."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bars: list[Bar] = []
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, bar: Bar) -> None:
        with self._lock:
            for outer in self._bars:
                outer.name = outer.then or outer.name
            self._bars.append(bar)
            if self._thread is None and os.environ.get(PROGRESS) != "off":
                self._over = threading.Event()
                self._thread = threading.Thread(
                    target=self._report, args=(self._over,), name="recross progress", daemon=True
                )
                self._thread.start()

    def end(self, bar: Bar) -> None:
        with self._lock:
            self._bars.remove(bar)
            ended = None if self._bars else self._thread
            if ended is not None:
                self._thread = None
                self._over.set()
        if ended is not None:
            ended.join()

    def hush(self) -> None:
        if threading.current_thread() is self._thread:
            return  # a line of its own, which goes where answers go
        with self._lock:
            self._over.set()
            ended = self._thread  # which stays, so that no other begins before all work is over
        if ended is not None:
            ended.join()

    def _report(self, over: threading.Event) -> None:
        wait = PATIENCE_SECONDS / 2
        display: _Display | None = None
        with suppress(OSError, ValueError):  # where it is shown is closed
            while not over.wait(wait):
                display = display or (_Live() if is_watched() else _Lines())
                with self._lock:
                    bars = tuple(self._bars)
                wait = display.show(bars, time.monotonic()) if bars else wait
        with suppress(OSError, ValueError):
            if display is not None:
                display.close()


_reporter = _Reporter()
