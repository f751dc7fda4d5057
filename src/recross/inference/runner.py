"""How batches run: sequences and a piece of work, in batches that fit in memory, on all devices.

Everything that asks a model goes through here: scoring, the bi-encoder, ColBERT's documents and
language models on this machine.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import Generic, Protocol, TypeAlias, TypeVar

import numpy as np
import torch

from recross.inference.batch_size import batch_size
from recross.inference.devices import make_for_each_device, share_jobs
from recross.inference.sequences import token_budget
from recross.inference.spans import Ints
from recross.machine.hardware import Hardware
from recross.machine.processor import is_out_of_memory

_Network = TypeVar("_Network")
Batch = TypeVar("Batch")
BatchOut = TypeVar("BatchOut", covariant=True)
_Result = TypeVar("_Result")

BeginBatch: TypeAlias = Callable[[Batch], Callable[[], _Result]]
"""Begins with a batch, and returns what waits for the result and gives it."""
Begun: TypeAlias = tuple[Ints, Callable[[], _Result]]
"""Numbers of the sequences of a batch that was begun, and what gives its result."""

RESULTS_AHEAD = 4
"""Batches that a GPU has been given before the result of the first of them is waited for."""


class Divisible(Protocol[BatchOut]):
    """Sequences of which any can be taken as one batch."""

    @property
    def lengths(self) -> Ints:
        """What each sequence counts for in a batch, in tokens, ``(N,)``."""

    def take(self, which: Ints) -> BatchOut:
        """These sequences, in this order."""


class Runner(Generic[Batch, _Result]):
    """Runs one piece of work over any sequences, with the weights as they are at its making.

    Sequences are sorted by length into batches of at most ``hardware.tokens_per_batch`` tokens. A
    batch that does not fit in memory is halved, and so is every later one of its size. Several
    devices share the batches; ``make`` returns the work of one device, given the network there.
    Work begins with a batch and returns what waits for its result: a GPU goes on with the batches
    that follow while results are on their way.
    """

    def __init__(
        self,
        hardware: Hardware,
        network: _Network,
        make: Callable[[_Network], BeginBatch[Batch, _Result]],
    ) -> None:
        hardware.prepare()
        self._hardware = hardware
        self._size = batch_size(hardware)
        self._works = make_for_each_device(hardware, network, make)

    def run(self, sequences: Divisible[Batch]) -> Iterator[tuple[Ints, _Result]]:
        """Yield numbers of sequences, the longest first, and the result of the work on them."""
        begun: deque[Begun[_Result]] = deque()
        for rows, result in self._begin_all(sequences):
            begun.append((rows, result))
            if len(begun) > self._results_ahead:
                yield _finish(begun.popleft())
        while begun:
            yield _finish(begun.popleft())

    @property
    def _results_ahead(self) -> int:
        return RESULTS_AHEAD if self._hardware.accelerator == "gpu" else 0

    def _begin_all(self, sequences: Divisible[Batch]) -> Iterator[Begun[_Result]]:
        batches = token_budget(sequences.lengths, self._size)
        if len(self._works) == 1:
            for rows in batches:
                yield from self._begin_halving(sequences, rows, self._works[0])
            return
        begin = partial(self._begin_halving, sequences)
        for begun in share_jobs(self._hardware, self._works, begin, batches):
            yield from begun

    def _begin_halving(
        self, sequences: Divisible[Batch], rows: Ints, work: BeginBatch[Batch, _Result]
    ) -> list[Begun[_Result]]:
        """Begin a batch, or the parts that fit in memory, in their order."""
        results: list[Begun[_Result]] = []
        waiting = [rows]
        while waiting:
            rows = waiting.pop()
            tokens = int(sequences.lengths[rows].sum())
            fits = len(rows) == 1 or tokens < self._size.too_many
            if fits:
                try:
                    start = time.perf_counter()
                    with torch.inference_mode():
                        results.append((rows, work(sequences.take(rows))))
                    self._size.record(tokens, time.perf_counter() - start)
                except (RuntimeError, MemoryError) as error:
                    if len(rows) == 1 or not is_out_of_memory(error):
                        raise
                    self._size.does_not_fit(tokens)
                    fits = False
            if not fits:  # not where the error was caught: it keeps what the attempt allocated
                torch.cuda.empty_cache()
                waiting.extend(reversed(np.array_split(rows, 2)))
        return results


def _finish(begun: Begun[_Result]) -> tuple[Ints, _Result]:
    rows, result = begun
    return rows, result()
