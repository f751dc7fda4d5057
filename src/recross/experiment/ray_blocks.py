"""A run re-ranked in blocks through Ray Data: actors hold the network, blocks stream past them.

Ray Data hands an actor its next block when it is done with one, starts a killed actor again and
hands it the block that it was at. The store keeps each finished block as one file of Parquet.
"""

from __future__ import annotations

import json
import logging
import pickle
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import ray.data
from ray.exceptions import RayError

from recross.artefacts.folders import PARTIAL
from recross.errors import RunError
from recross.experiment.block_process import BlockTask
from recross.experiment.blocks import RunBlocks
from recross.experiment.parquet_blocks import PARQUET_BLOCKS
from recross.experiment.refusals import raise_refusal, say_refusal
from recross.machine.probes import VARIABLE, name_kernels
from recross.machine.ray_cluster import StartingPlace, connect_to_ray
from recross.writing.progress import progress

ADVICE = "where memory runs out, fewer processes need less, and the same command again goes on"
MOST_TRIES = 4
"""How often a block is begun by actors that are killed at it, and a killed actor started again."""
MOST_TASKS = 4096
"""What Ray Data cuts a run into: tasks of one block each, or of several where there are more."""
QUIET = {"ray.data": logging.WARNING, "ray.data._internal.progress": logging.ERROR}
"""What Ray Data says of itself at work, and of its bars, which stand beside ours."""

BlockRow = Mapping[str, Any]
"""On its way to an actor the ``number`` and ``candidates`` of a block, then what it ``said``."""


def stream_blocks(blocks: RunBlocks, task: BlockTask, processes: int) -> RunBlocks:
    """Let so many actors re-rank what is missing; returns the blocks as the store has them.

    Raises:
        InputError: an actor was refused something, such as a network that was never trained.
        RunError: no cluster answers, or actors are killed again and again.
    """
    blocks = replace(blocks, form=PARQUET_BLOCKS)
    missing = [number for number in range(len(blocks)) if not blocks.is_finished(number)]
    if not missing:
        return blocks
    done, threads = len(blocks) - len(missing), task.hardware.threads or 1
    parts = blocks.store.root / blocks.form.kind
    parts.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(PARTIAL, ".tries-", parts) as tries,
        progress(len(blocks), "re-ranking", "block", done, shown=True) as bar,
        connect_to_ray(cores=processes * threads),
    ):
        rows = [{"number": number, "candidates": blocks.tell(number)} for number in missing]
        for row in _stream(rows, task, Path(tries).resolve(), processes):
            raise_refusal(json.loads(row["said"]))
            bar.update()
    return blocks


def _stream(
    rows: Sequence[BlockRow], task: BlockTask, tries: Path, processes: int
) -> Iterator[BlockRow]:
    """What actors say of each block, once it is finished, in any order."""
    threads = task.hardware.threads or 1
    place = StartingPlace.here(**{"OMP_NUM_THREADS": str(threads), VARIABLE: name_kernels()})
    without = replace(task, candidates=replace(task.candidates, rankings={}))
    for name, level in QUIET.items():
        logging.getLogger(name).setLevel(level)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False  # there is one
    context.max_consecutive_actor_init_deaths = MOST_TRIES
    streamed = ray.data.from_items(rows, override_num_blocks=min(len(rows), MOST_TASKS)).map(
        _BlockActor,
        fn_constructor_args=(place, pickle.dumps(without, pickle.HIGHEST_PROTOCOL), tries),
        compute=ray.data.ActorPoolStrategy(size=min(processes, len(rows))),
        num_cpus=threads,
        num_gpus=int(task.hardware.accelerator == "gpu"),
    )
    try:
        yield from streamed.iter_rows()
    except RayError as error:
        reason = next((line for line in str(error).splitlines() if line.strip()), repr(error))
        raise RunError(f"actors that re-rank must live, got: {reason}; {ADVICE}") from error


class _BlockActor:
    """Holds what re-ranks, and the documents; Ray Data hands it one block after the other."""

    def __init__(self, place: StartingPlace, told: bytes, tries: Path) -> None:
        place.enter()
        self._tries = tries
        self._refused = say_refusal(partial(self._open, told))

    def __call__(self, row: BlockRow) -> BlockRow:
        said = self._refused or say_refusal(partial(self._make, row))
        return {"said": json.dumps(said)}

    def _open(self, told: bytes) -> None:
        task: BlockTask = pickle.loads(told)
        self._blocks = replace(task.open(), form=PARQUET_BLOCKS)

    def _make(self, row: BlockRow) -> None:
        block = self._blocks.take(row["candidates"])
        if not block.is_finished(0):  # a task of several blocks that was begun anew
            self._count_try(row["number"])
            block.make(0)

    def _count_try(self, number: int) -> None:
        """Refuse a block that has ended too many actors, which Ray would hand out without end."""
        tried = self._tries / str(number)
        with tried.open("ab") as file:
            file.write(b".")
        if (tries := tried.stat().st_size) > MOST_TRIES:
            raise RunError(
                f"actors that re-rank must live until a block is finished, got {tries - 1} that"
                f" ended at one; {ADVICE}"
            )
