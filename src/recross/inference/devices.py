"""One forward per device, each in a thread of its own, and batches shared between them."""

from __future__ import annotations

import copy
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import TypeVar

import torch

from recross.errors import InputError
from recross.inference.network import Forward, Network
from recross.machine.hardware import Hardware, usable_cores

Job = TypeVar("Job")
Result = TypeVar("Result")

AHEAD = 2
"""Batches per device that wait or run: enough to keep it busy, few to be lost."""


class Lanes:
    """The devices of a hardware target, with the weights as they are now on each of them.

    On GPUs every device has a copy of the network. On a processor a device is a thread with its
    share of the cores, and the weights are there once.
    """

    def __init__(self, network: Network, hardware: Hardware) -> None:
        self._hardware = hardware
        self._forwards = _forwards(network, hardware)

    def each(self, work: Callable[[Forward, Job], Result], jobs: Iterable[Job]) -> Iterator[Result]:
        """Yield ``work`` of every job in the order of the jobs, whichever device is free doing it.

        One device works in the caller's own thread, and a job is drawn when its turn has come.
        """
        if len(self._forwards) == 1:
            yield from (work(self._forwards[0], job) for job in jobs)
            return
        own = threading.local()
        free: SimpleQueue[int] = SimpleQueue()
        for number in range(len(self._forwards)):
            free.put(number)

        def enter() -> None:
            number = free.get()
            own.forward = self._forwards[number]
            self._settle(number)

        def run(job: Job) -> Result:
            with torch.inference_mode():
                return work(own.forward, job)

        pool = ThreadPoolExecutor(len(self._forwards), initializer=enter)
        waiting: deque[Future[Result]] = deque()
        try:
            for job in jobs:
                waiting.append(pool.submit(run, job))
                if len(waiting) == AHEAD * len(self._forwards):
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _settle(self, number: int) -> None:
        """Bind the current thread to a device."""
        if self._hardware.accelerator == "gpu":
            torch.cuda.set_device(number)
        else:
            share = max(1, usable_cores() // len(self._forwards))
            torch.set_num_threads(self._hardware.threads or share)


def _forwards(network: Network, hardware: Hardware) -> list[Forward]:
    if hardware.devices == 1:
        return [network.inference(hardware)]
    if hardware.accelerator == "cpu":
        return [network.inference(hardware)] * hardware.devices
    if hardware.devices > torch.cuda.device_count():
        raise InputError(
            f"devices must be at most the number of GPUs here ({torch.cuda.device_count()}),"
            f" got {hardware.devices}"
        )
    forwards = []
    for number in range(hardware.devices):
        with torch.cuda.device(number):
            replica = copy.deepcopy(network) if number else network
            forwards.append(replica.inference(hardware))
    return forwards
