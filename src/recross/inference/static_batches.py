"""Batches of few fixed shapes, so that a GPU is told once what to do and then only that it shall.

A batch is ``T`` tokens and ``B`` sequences, of which the last ones may be missing: what stands
behind the real tokens belongs to no sequence. A GPU's work on one shape is captured in a CUDA graph
at its first batch, in milliseconds, and replayed for every later one: nothing is launched from
Python, which costs small networks and single queries most of their time.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from functools import cached_property
from itertools import count
from threading import Lock
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from recross.inference.batches import PackedBatch
from recross.inference.encoders.encoder import Encoder
from recross.inference.encoders.packed_attention import has_kernel_for
from recross.inference.layout import Layout
from recross.machine.hardware import Hardware

logger = logging.getLogger(__name__)

RunBatch = Callable[[PackedBatch], Tensor]
"""Values of a batch's sequences or of its tokens, in their order."""
Replay = Callable[[], Tensor]
Capture = Callable[[Replay], Replay]
"""Takes work on tensors that stay where they are; gives what repeats it."""

LEAST_TOKENS, LEAST_LENGTH = 1_024, 64
TOKENS_PER_SEQUENCE = 128
"""A shape has room for at least so many tokens' worth of sequences: more shapes are no use."""


class Shape(NamedTuple):
    """Tokens and sequences that a batch has room for, and how long a sequence may be."""

    tokens: int
    sequences: int
    longest: int

    @classmethod
    def around(cls, batch: PackedBatch) -> Shape:
        """The shape of least room for a batch: of tokens at most half as many again."""
        tokens = next(size for size in _count_sizes() if size >= len(batch.tokens))
        sequences = max(_round_to_power(len(batch)), tokens // TOKENS_PER_SEQUENCE)
        return cls(tokens, sequences, max(_round_to_power(batch.layout.longest), LEAST_LENGTH))


def find_static_form(
    forward: RunBatch, family: Encoder, hardware: Hardware, per_token: bool = False
) -> RunBatch:
    """The same forward over static batches, where hardware and family gain by them.

    ``per_token``: it gives values of tokens, not of sequences.
    """
    if not suits_static_batches(family, hardware):
        return forward
    compiles = hardware.backend == "torch_compile"
    faster = torch.compile(forward, dynamic=False) if compiles else None
    return StaticBatches(forward, GraphCapture(), faster, hardware.batch_tokens, per_token)


def suits_static_batches(family: Encoder, hardware: Hardware) -> bool:
    """Whether a family's attention asks for no shape in advance on this hardware."""
    on_gpu = hardware.accelerator == "gpu" and family.attends_by_offsets
    return on_gpu and has_kernel_for(hardware.device, hardware.dtype)


class StaticBatches:
    """Runs a forward on batches of any size in few shapes, each captured at its first batch.

    Batches of more than half of ``full`` tokens go through ``compiled``, where there is one, in one
    shape of their own, since compiling a shape takes seconds. What does not fit in memory is halved
    with all that comes later.
    """

    def __init__(
        self,
        forward: RunBatch,
        capture: Capture,
        compiled: RunBatch | None = None,
        full: int = 0,
        per_token: bool = False,
    ) -> None:
        self._forward, self._capture = forward, capture
        self._compiled, self._full = compiled, full
        self._per_token = per_token
        self._runs: dict[Shape, StaticRun] = {}
        self.most: float = float("inf")
        """Tokens of the largest batch that is tried."""

    def __call__(self, batch: PackedBatch) -> Tensor:
        """Values of the batch's sequences, or of its tokens."""
        values = None
        if len(batch.tokens) <= self.most or len(batch) == 1:
            try:
                values = self._run(batch)
            except torch.OutOfMemoryError:
                if len(batch) == 1:
                    raise
        if values is None:  # not where the error was caught: it keeps what the attempt allocated
            self._halve(batch)
            values = torch.cat([self(half) for half in batch.halves()])
        return values

    def _run(self, batch: PackedBatch) -> Tensor:
        shape, forward = self._choose(batch)
        run = self._runs.get(shape)
        if run is None:
            run = StaticRun(shape, batch.tokens.device)
            run.load(batch)
            run.begin(forward, self._forward, self._capture)
            self._runs[shape] = run
        else:
            run.load(batch)
        values = run.replay()
        return values[: len(batch.tokens) if self._per_token else len(batch)].clone()

    def _choose(self, batch: PackedBatch) -> tuple[Shape, RunBatch]:
        around = Shape.around(batch)
        if self._compiled is None or not self._full / 2 < len(batch.tokens) <= self._full:
            return around, self._forward
        largest = self._full // TOKENS_PER_SEQUENCE * 4
        return Shape(self._full, max(around.sequences, largest), around.longest), self._compiled

    def _halve(self, batch: PackedBatch) -> None:
        if len(batch.tokens) > self.most:
            return
        self.most = len(batch.tokens) // 2
        self._runs.clear()
        torch.cuda.empty_cache()
        logger.info("a batch did not fit in memory: at most %d tokens from now on", self.most)


class StaticRun:
    """One shape's tensors, which stay where they are, and the work on them."""

    def __init__(self, shape: Shape, device: torch.device) -> None:
        def zeros(size: int, dtype: torch.dtype = torch.int64) -> Tensor:
            return torch.zeros(size, dtype=dtype, device=device)

        tokens, sequences, longest = shape
        offsets = zeros(sequences + 1, torch.int32)
        self.batch = PackedBatch(
            *(zeros(tokens), zeros(tokens), zeros(tokens), zeros(sequences)),
            Layout((), offsets, longest),
        )
        self.replay: Replay

    def load(self, batch: PackedBatch) -> None:
        """Put a batch in front; behind it stands nothing that belongs to a sequence."""
        here = self.batch
        _put(here.tokens, batch.tokens)
        _put(here.segments, batch.segments)
        _put(here.positions, batch.positions)
        _put(here.starts, batch.starts)
        _put(here.layout.offsets, batch.layout.offsets, filler=len(batch.tokens))

    def begin(self, forward: RunBatch, plain: RunBatch, capture: Capture) -> None:
        """Capture the work on what was loaded; the plain form's where the other one fails.

        What cannot be captured is done anew for every batch: slower, with the same values.
        """
        if forward is not plain and self._captures(forward, capture, "compiled"):
            return
        if not self._captures(plain, capture, "captured in a graph"):
            self.replay = lambda: plain(self.batch)

    def _captures(self, forward: RunBatch, capture: Capture, how: str) -> bool:
        """Capture the work on what was loaded, if torch can."""
        try:
            self.replay = capture(lambda: forward(self.batch))
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            logger.warning("the forward cannot be %s and runs as it is: %s", how, error)
            return False
        return True


class GraphCapture:
    """Captures work in CUDA graphs of one device, which share their memory: one runs at a time.

    All are captured on the stream on which the work is tried before. torch keeps room for products
    by stream: so it is never part of the graphs' memory, which can then be given back.
    """

    _only_one: ClassVar[Lock] = Lock()
    """Of a process only one thread may capture at a time, whatever their devices."""

    @cached_property
    def _pool(self) -> Any:
        return torch.cuda.graph_pool_handle()

    @cached_property
    def _stream(self) -> torch.cuda.Stream:
        return torch.cuda.Stream()  # type: ignore[no-untyped-call]

    def __call__(self, work: Replay) -> Replay:
        """Run the work a few times aside, capture it, and return what replays it."""
        before = torch.cuda.current_stream()
        with self._only_one:
            try:
                self._try(work, before)
                return self._capture(work)
            finally:  # a capture that fails would leave its own stream behind
                torch.cuda.set_stream(before)

    def _try(self, work: Replay, before: torch.cuda.Stream) -> None:
        self._stream.wait_stream(before)
        with torch.cuda.stream(self._stream):
            for _ in range(2):
                work()
        before.wait_stream(self._stream)

    def _capture(self, work: Replay) -> Replay:
        graph = torch.cuda.CUDAGraph()
        # other threads may use their devices, and pin memory, in the meantime
        with torch.cuda.graph(
            graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"
        ):
            values = work()

        def replay() -> Tensor:
            graph.replay()
            return values

        return replay


def _put(room: Tensor, values: Tensor, filler: int = 0) -> None:
    room[: len(values)].copy_(values, non_blocking=True)
    room[len(values) :].fill_(filler)


def _count_sizes() -> Iterator[int]:
    """Powers of two, and one and a half times each."""
    for doubled in count():
        yield LEAST_TOKENS << doubled
        yield (LEAST_TOKENS << doubled) * 3 // 2


def _round_to_power(number: int) -> int:
    return 1 << max(number - 1, 0).bit_length()
