"""The processes that share work: started, watched, and replaced where one ends."""

from __future__ import annotations

import json
import logging
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from recross.errors import RunError
from recross.machine.hardware import Hardware
from recross.machine.nodes import read_node_rank
from recross.machine.probes import VARIABLE, name_kernels
from recross.sharing import process as shared_process
from recross.sharing.refusals import raise_refusal
from recross.sharing.work import SharedTask, SharedWork
from recross.writing.progress import Bar, progress

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_LOOKS = 0.5
MOST_ENDS = 3
"""Processes that may end one after the other before a piece is finished: a piece ends them."""


def share_locally(work: SharedWork, task: SharedTask, processes: int, gpus: int) -> None:
    """Let so many processes of this machine make pieces until every one is finished.

    One that is killed is replaced, and the piece it was at is begun anew; finished ones stay.

    Raises:
        InputError: a process was refused something, such as a network that was never trained.
        RunError: processes are killed again and again, before a piece is finished.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        progress(len(work), work.doing, work.unit, shown=True) as bar,
    ):
        told = Path(folder) / "task.pickle"
        told.write_bytes(pickle.dumps(task, pickle.HIGHEST_PROTOCOL))
        places = Places(told, task.hardware, processes, gpus, len(work))
        watched = _Watch(work, bar)
        try:
            watched.begin(places)
            while watched.look(places):
                time.sleep(SECONDS_BETWEEN_LOOKS)
        finally:
            watched.end()


@dataclass(frozen=True)
class _Process:
    """One process, by its number."""

    number: int
    popen: subprocess.Popen[bytes]

    def read_refusal(self) -> None:
        """Raise what a process says that went wrong, in the words of the command."""
        assert self.popen.stdout is not None
        raise_refusal(json.loads(self.popen.stdout.read() or b"{}"))

    def end(self) -> None:
        self.popen.kill()
        self.popen.wait()
        for stream in (self.popen.stdin, self.popen.stdout):
            assert stream is not None
            stream.close()


@dataclass(frozen=True)
class Places:
    """Where processes begin, and on which GPU each computes."""

    told: Path
    hardware: Hardware
    processes: int
    gpus: int
    pieces: int

    def find_first(self, number: int) -> int:
        """The piece that a process begins with: all of them, on all nodes, lie far apart."""
        nodes = self.hardware.nodes
        place = read_node_rank(nodes) * self.processes + number
        return place * self.pieces // (self.processes * nodes)

    def start(self, number: int) -> _Process:
        """Start a process."""
        first = self.find_first(number)
        popen = subprocess.Popen(
            [sys.executable, "-P", "-m", shared_process.__name__, str(self.told), str(first)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **self.name_variables(number)},
            process_group=0,  # the parent is interrupted, and ends this one
        )
        return _Process(number, popen)

    def name_variables(self, number: int) -> dict[str, str]:
        """What the environment of a process says beside our own."""
        variables = {
            "PYTHONPATH": os.pathsep.join(sys.path),
            "OMP_NUM_THREADS": str(self.hardware.threads),
            VARIABLE: name_kernels(),
        }
        if self.hardware.accelerator == "gpu":
            seen = os.environ.get("CUDA_VISIBLE_DEVICES")
            devices = seen.split(",") if seen else [str(gpu) for gpu in range(self.gpus)]
            variables["CUDA_VISIBLE_DEVICES"] = devices[number % self.gpus]
        return variables


@dataclass
class _Watch:
    """The processes at work, and how many have ended since a piece was last finished."""

    work: SharedWork
    bar: Bar
    at_work: list[_Process] = field(default_factory=list)
    ends: int = 0
    missing: set[int] = field(init=False)

    def __post_init__(self) -> None:
        self.missing = set(range(len(self.work)))

    def begin(self, places: Places) -> None:
        """Start the processes, at most one for each piece that is missing."""
        self._count()
        for number in range(min(places.processes, len(self.missing))):
            self.at_work.append(places.start(number))

    def look(self, places: Places) -> bool:
        """Count what is finished, replace who was killed; whether anybody is at work."""
        self.ends = 0 if self._count() else self.ends
        for process in self.at_work[:]:
            if (code := process.popen.poll()) is not None:
                process.read_refusal()
                process.end()
                self.at_work.remove(process)
                if code != 0:
                    self._replace(process.number, code, places)
        return bool(self.at_work)

    def end(self) -> None:
        """End all processes."""
        for process in self.at_work:
            process.end()

    def _count(self) -> int:
        """How many pieces have been finished since the last look."""
        done = {number for number in self.missing if self.work.is_finished(number)}
        self.missing -= done
        self.bar.done = len(self.work) - len(self.missing)
        return len(done)

    def _replace(self, number: int, code: int, places: Places) -> None:
        self.ends += 1
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        if self.ends > MOST_ENDS:
            raise RunError(
                f"processes that share work must live until a {self.work.unit} is finished, got"
                f" {self.ends} ended one after the other, the last by {how}; where memory runs out,"
                " fewer processes need less, and run the same command again to go on"
            )
        logger.warning("a process that shares work ended by %s: another takes its place", how)
        self.at_work.append(places.start(number))
