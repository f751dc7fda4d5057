"""What the commands share that write one run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from recross.collections.collection import CollectionSource
from recross.experiment.place import Place
from recross.experiment.readiness import CommandNeeds
from recross.experiment.run_accounts import AccountedRun
from recross.machine.hardware import Hardware
from recross.parts.bounds import FileWithin, Ge, Le
from recross.sharing.executors import Executor, Sharing, check_executor
from recross.store import DEFAULT_STORE, write_json
from recross.writing.progress import working


@dataclass(frozen=True, kw_only=True)
class RunFileCommand(ABC):
    """Makes one run and writes it to ``output/run_file``.

    So many ``processes`` of an ``executor`` share what it does (``None``: this one does it alone).
    """

    collection: CollectionSource
    hardware: Hardware = field(default=Hardware())
    output: Path = Path("outputs")
    run_file: Annotated[Path, FileWithin()]
    store: Path = DEFAULT_STORE
    processes: Annotated[int, Ge(1), Le(1024)] | None = None
    executor: Executor = "local"

    def __post_init__(self) -> None:
        check_executor(self.executor, self.processes, self.hardware)

    @property
    def sharing(self) -> Sharing:
        """Who shares what it does."""
        return Sharing(self.executor, self.processes or 1, self.hardware.devices)

    @property
    def place(self) -> Place:
        """The run file, and what lies beside it."""
        return Place.of_run_file(self.output / self.run_file).on_node(self.hardware)

    @property
    def summary(self) -> str:
        """One line that says where the run file lies."""
        return f"wrote {self.place.result}"

    def run(self) -> Path:
        """Make the run and write it, beside what became of its input; returns its path."""
        place = self.place
        with place.alone():
            self.check_parts()
            if not self.hardware.is_first_node:
                self.take_part()
                place.record_part()
                return place.result
            made = self.make()
            with working(f"writing {place.result}"):
                if place.account is not None:
                    write_json(place.account, {"run_file": str(place.result), **made.account})
                made.run.write(place.result)
        return place.result

    def check_parts(self) -> None:
        """See that all is there, and load what this process computes with, before any work.

        Processes that share the work load what they come to when they begin.

        Raises:
            InputError: a path, a split, a device or a network is missing, or one was never trained.
        """
        needs = self.needs
        needs.check()
        if self.processes is None:
            needs.load()

    @abstractmethod
    def take_part(self) -> None:
        """Share the work of the first node, on another one, until everything is there."""

    def measure_dev(self) -> float | None:
        """Nothing: a run that is written is not measured on dev."""
        return None

    @property
    def needs(self) -> CommandNeeds:
        """What will be used, and must be there before any work."""
        return CommandNeeds.of(self)

    @abstractmethod
    def make(self) -> AccountedRun:
        """The run that is to be written, and its account."""
