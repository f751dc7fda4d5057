"""Work in pieces that any process can do, each an artefact of the store once it is done.

What a piece holds depends on itself alone: it is made by one process, on one device and a given
number of threads. So the whole has the same bytes, however many processes there are, whichever of
them ends and is replaced, and wherever an interrupted one goes on.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import ClassVar, Protocol, Self

from recross.machine.hardware import Hardware
from recross.records import JsonObject
from recross.store import Store


@dataclass(frozen=True)
class SharedWork(ABC):
    """Pieces by number, in the order in which they are put together."""

    doing: ClassVar[str]
    """What a progress bar calls the work, such as ``re-ranking``."""
    unit: ClassVar[str]
    """What it calls a piece."""

    store: Store

    @property
    @abstractmethod
    def kind(self) -> str:
        """The kind of artefact that a piece is."""

    @abstractmethod
    def __len__(self) -> int:
        """How many pieces there are."""

    @abstractmethod
    def identify(self, number: int) -> JsonObject:
        """What a piece follows from."""

    @abstractmethod
    def fill(self, number: int, folder: Path) -> JsonObject:
        """Make a piece in a fresh folder; returns entries for its manifest."""

    def find(self, number: int) -> Path | None:
        """The folder of a finished piece."""
        return self.store.find(self.kind, self.identify(number))

    def is_finished(self, number: int) -> bool:
        """Whether a piece has been made, by whomever."""
        return self.find(number) is not None

    def make(self, number: int) -> None:
        """Make a piece; if another process is at it, wait for that one."""
        self.store.artefact(self.kind, self.identify(number), partial(self.fill, number))

    def make_if_free(self, number: int) -> bool:
        """Make a piece unless another process is at it; whether it is finished."""
        make = partial(self.fill, number)
        return self.store.artefact_if_free(self.kind, self.identify(number), make) is not None

    def tell(self, number: int) -> str:
        """What a process is told of a piece that was not told of all."""
        return str(number)

    def take(self, told: str) -> tuple[SharedWork, int]:
        """The work that a piece which was told of belongs to, and its number there."""
        return self, int(told)


class SharedTask(Protocol):
    """What a process is told of shared work, in a pickle."""

    @property
    def hardware(self) -> Hardware:
        """What it computes on."""

    def open(self) -> SharedWork:
        """The work, in a process that is made ready to do it."""

    def without_pieces(self) -> Self:
        """The same for a process that is told of each piece as it comes."""


def settle_hardware(hardware: Hardware) -> Hardware:
    """The target as each process computes on it, so that nothing is left to a probe of its own."""
    return replace(
        hardware, devices=1, threads=hardware.threads or 1, precision=hardware.effective_precision
    )


def open_quietly(task: SharedTask) -> SharedWork:
    """Open work in one of many processes; what loading warns of is said where it is shared."""
    logging.disable(logging.WARNING)
    try:
        return task.open()
    finally:
        logging.disable(logging.NOTSET)


def do_pieces(work: SharedWork, first: int) -> None:
    """Make pieces from the first on, those that no other process is at, until all are there."""
    waiting: Sequence[int] = [*range(first, len(work)), *range(first)]
    while waiting := [number for number in waiting if not work.is_finished(number)]:
        made = [number for number in waiting if work.make_if_free(number)]
        if not made:
            work.make(waiting[0])  # others are at all of them: it is theirs, or they have ended
