"""Shared work done through Ray Data: actors hold the network, pieces stream past them.

Ray Data hands an actor its next piece when it is done with one, starts a killed actor again and
hands it the piece that it was at. The store keeps each finished piece.
"""

from __future__ import annotations

import json
import logging
import pickle
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import ray.data
from ray.exceptions import RayError

from recross.artefacts.folders import PARTIAL
from recross.errors import InputError, RunError
from recross.machine.probes import VARIABLE, name_kernels
from recross.machine.ray_cluster import StartingPlace, connect_to_ray
from recross.sharing.refusals import raise_refusal, say_refusal
from recross.sharing.work import SharedTask, SharedWork, open_quietly
from recross.writing.progress import progress

ADVICE = "where memory runs out, fewer processes need less, and the same command again goes on"
MOST_TRIES = 4
"""How often a piece is begun by actors that are killed at it, and a killed actor started again."""
MOST_TASKS = 4096
"""What Ray Data cuts work into: tasks of one piece each, or of several where there are more."""
TOLD = "task.pickle"
"""What actors are told, in the folder that all machines see."""
QUIET = {"ray.data": logging.WARNING, "ray.data._internal.progress": logging.ERROR}
"""What Ray Data says of itself at work, and of its bars, which stand beside ours."""

PieceRow = Mapping[str, Any]
"""On its way to an actor a piece's ``number`` and what is ``told`` of it, then what it ``said``."""


def share_by_ray(work: SharedWork, task: SharedTask, processes: int) -> None:
    """Let so many actors make the pieces that are missing.

    Raises:
        InputError: an actor was refused something, such as a network that was never trained.
        RunError: no cluster answers, it has not what an actor needs, or actors are killed again
            and again.
    """
    missing = [number for number in range(len(work)) if not work.is_finished(number)]
    if not missing:
        return
    done, threads = len(work) - len(missing), task.hardware.threads or 1
    parts = work.store.root / work.kind
    parts.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(PARTIAL, ".tries-", parts) as tries,
        progress(len(work), work.doing, work.unit, done, shown=True) as bar,
        connect_to_ray(cores=processes * threads) as is_here,
    ):
        if is_here:  # a cluster elsewhere may yet grow
            _refuse_without_gpu(task)
        rows = [{"number": number, "told": work.tell(number)} for number in missing]
        for row in _stream(rows, task, Path(tries).resolve(), processes):
            raise_refusal(json.loads(row["said"]))
            bar.update()


def _refuse_without_gpu(task: SharedTask) -> None:
    if task.hardware.accelerator == "gpu" and not ray.cluster_resources().get("GPU"):
        raise InputError(
            "hardware.accelerator must be one that this machine has for Ray (cpu), got 'gpu';"
            " RAY_ADDRESS names a cluster with GPUs"
        )


def _stream(
    rows: Sequence[PieceRow], task: SharedTask, tries: Path, processes: int
) -> Iterator[PieceRow]:
    """What actors say of each piece, once it is finished, in any order."""
    threads = task.hardware.threads or 1
    place = StartingPlace.here(**{"OMP_NUM_THREADS": str(threads), VARIABLE: name_kernels()})
    for name, level in QUIET.items():
        logging.getLogger(name).setLevel(level)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False  # there is one
    context.max_consecutive_actor_init_deaths = MOST_TRIES
    told = pickle.dumps(task.without_pieces(), pickle.HIGHEST_PROTOCOL)
    (tries / TOLD).write_bytes(told)
    streamed = ray.data.from_items(rows, override_num_blocks=min(len(rows), MOST_TASKS)).map(
        _PieceActor,
        fn_constructor_args=(place, tries),
        compute=ray.data.ActorPoolStrategy(size=min(processes, len(rows))),
        num_cpus=threads,
        num_gpus=int(task.hardware.accelerator == "gpu"),
    )
    try:
        yield from streamed.iter_rows()
    except RayError as error:
        reason = next((line for line in str(error).splitlines() if line.strip()), repr(error))
        raise RunError(f"actors that share work must live, got: {reason}; {ADVICE}") from error


class _PieceActor:
    """Holds the work, with what is loaded for it; Ray Data hands it one piece after the other."""

    def __init__(self, place: StartingPlace, tries: Path) -> None:
        place.enter()
        self._tries = tries
        self._refused = say_refusal(self._open)

    def __call__(self, row: PieceRow) -> PieceRow:
        said = self._refused or say_refusal(partial(self._make, row))
        return {"said": json.dumps(said)}

    def _open(self) -> None:
        task: SharedTask = pickle.loads((self._tries / TOLD).read_bytes())
        self._work = open_quietly(task)

    def _make(self, row: PieceRow) -> None:
        work, number = self._work.take(row["told"])
        if not work.is_finished(number):  # a task of several pieces that was begun anew
            self._count_try(row["number"], work.unit)
            work.make(number)

    def _count_try(self, number: int, unit: str) -> None:
        """Refuse a piece that has ended too many actors, which Ray would hand out without end."""
        tried = self._tries / str(number)
        with tried.open("ab") as file:
            file.write(b".")
        if (tries := tried.stat().st_size) > MOST_TRIES:
            raise RunError(
                f"actors that share work must live until a {unit} is finished, got {tries - 1} that"
                f" ended at one; {ADVICE}"
            )
