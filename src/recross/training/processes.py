"""The processes that share a training, as one of them sees them."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import cast

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments.lightning import (
    LightningEnvironment,
    find_free_network_port,
)
from torch import Tensor
from torch.multiprocessing.spawn import (
    ProcessException,
    ProcessExitedException,
    ProcessRaisedException,
)
from torch.nn.parallel import DistributedDataParallel

from recross.errors import RunError
from recross.machine.nodes import ADDRESS, PORT, read_node_rank

_PEER_GONE = ("closed by peer", "reset by peer", "Connection refused", "Broken pipe", "timed out")
"""What gloo and nccl say of a process that is no more."""


class Processes:
    """Which of the processes this one is, what of some work is its own, and sums over all."""

    def __init__(self, trainer: pl.Trainer, *, share_weights: bool = False) -> None:
        self._trainer = trainer
        self._share_weights = share_weights

    @property
    def count(self) -> int:
        """How many processes there are."""
        return self._trainer.world_size

    @property
    def rank(self) -> int:
        """The number of this process, from 0."""
        return self._trainer.global_rank

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that writes files."""
        return self._trainer.is_global_zero

    @property
    def device(self) -> torch.device:
        """The device of this process."""
        return self._trainer.strategy.root_device

    def share(self, items: int) -> range:
        """Numbers of the items that are this process's own: every ``count``-th, from its rank."""
        return range(self.rank, items, self.count)

    def add_up(self, values: Tensor) -> Tensor:
        """Return the sum of the values of all processes, in each of them."""
        total: Tensor = self._trainer.strategy.reduce(values, reduce_op="sum")
        return total

    def average(self, value: Tensor) -> Tensor:
        """Return the mean of the values of all processes, in each of them."""
        mean: Tensor = self._trainer.strategy.reduce(value, reduce_op="mean")
        return mean

    def share_gradients(self, *, is_last: bool) -> AbstractContextManager[None]:
        """Share gradients in the backward pass of a step's last value, and of no other.

        Processes hold unequal numbers of micro-batches, so that they meet at the last one. Those
        that share the weights have as many passes each, and no room for whole gradients.
        """
        if is_last or self.count == 1 or self._share_weights:
            return nullcontext()
        return cast(DistributedDataParallel, self._trainer.model).no_sync()

    def count_passes(self, own: int) -> int:
        """How many passes this process makes that has so many of its own to make.

        Processes that share the weights gather them together: all make as many as the busiest.
        """
        if not self._share_weights:
            return own
        most = torch.tensor(own, device=self.device)
        torch.distributed.all_reduce(most, torch.distributed.ReduceOp.MAX)
        return int(most)


class MeetingPoint(LightningEnvironment):
    """Where the processes of a training find each other: chosen here, or given for several nodes.

    What a cluster around has set of processes that it would start itself is not read.
    """

    def __init__(self, nodes: int) -> None:
        super().__init__()
        self._nodes = nodes
        self._main_port = int(os.environ[PORT]) if nodes > 1 else find_free_network_port()

    @property
    def creates_processes_externally(self) -> bool:
        """Never: every node starts its own."""
        return False

    @property
    def main_address(self) -> str:
        """The first node's address, as all nodes are told, or this machine."""
        return os.environ[ADDRESS] if self._nodes > 1 else "127.0.0.1"

    @property
    def main_port(self) -> int:
        """The port at that address."""
        return self._main_port

    def node_rank(self) -> int:
        """The number of this node."""
        return read_node_rank(self._nodes)


class EndAtOnce(pl.Callback):
    """Lets a process of several be ended at once: it would first tell others, who are gone.

    An interruption is left to the process that started them, which ends them.
    """

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave the signal to the system."""
        if trainer.world_size > 1:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def explaining_ends() -> Iterator[None]:
    """Say within seconds why a training of several processes ended, and end those that are left.

    Raises:
        RunError: one of them was refused something, or was killed, here or on another node.
    """
    before = set(multiprocessing.active_children())
    try:
        yield
    except (ProcessRaisedException, ProcessExitedException) as error:
        if (refused := _find_refusal(error)) is not None:
            raise RunError(refused) from error
        if (reason := _find_end(error)) is None:
            raise
        raise RunError(f"{reason}; the same command goes on from the last saved step") from error
    finally:
        for process in set(multiprocessing.active_children()) - before:
            process.kill()  # one that waits for others would be waited for


def _find_refusal(error: ProcessException) -> str | None:
    """What the process that ended first was refused, as the last line of its traceback says it."""
    kind = f"{RunError.__module__}.{RunError.__qualname__}: "
    last = str(error).strip().rpartition("\n")[2]
    is_told = isinstance(error, ProcessRaisedException) and last.startswith(kind)
    return last.removeprefix(kind) if is_told else None


def _find_end(error: ProcessException) -> str | None:
    """How a process of the training came to its end, unless that is a fault of the code."""
    if isinstance(error, ProcessExitedException):
        how = error.signal_name or f"exit code {error.exit_code}"
        return f"process {error.error_index} of the training ended by {how}"
    last = str(error).strip().rpartition("\n")[2]
    if any(sign in last for sign in _PEER_GONE):
        return f"a process of the training, here or on another node, has ended ({last})"
    return None
